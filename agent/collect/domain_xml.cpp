#include "agent/collect/domain_xml.h"

#include <fmt/core.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "agent/collect/text_file.h"

namespace proteus::collect {
namespace {

constexpr std::string_view kNamespace = "https://proteus.example/1";

std::string_view text_of(const xmlChar* text) {
  return text == nullptr ? std::string_view{} : reinterpret_cast<const char*>(text);
}

bool is_element(const xmlNode* node, std::string_view name) {
  return node->type == XML_ELEMENT_NODE && text_of(node->name) == name;
}

const xmlNode* child(const xmlNode* parent, std::string_view name) {
  if (parent == nullptr) return nullptr;
  for (const xmlNode* node = parent->children; node != nullptr; node = node->next) {
    if (is_element(node, name)) return node;
  }
  return nullptr;
}

std::string attribute(const xmlNode* node, const char* name) {
  if (node == nullptr) return {};
  xmlChar* value = xmlGetProp(node, reinterpret_cast<const xmlChar*>(name));
  std::string copy(text_of(value));
  xmlFree(value);
  return copy;
}

template <typename Visit>
void each_child(const xmlNode* parent, Visit visit) {
  if (parent == nullptr) return;
  for (const xmlNode* node = parent->children; node != nullptr; node = node->next) {
    if (node->type == XML_ELEMENT_NODE) visit(node, text_of(node->name));
  }
}

void read_groups(const xmlNode* metadata, std::map<std::string, std::string>& groups) {
  each_child(metadata, [&](const xmlNode* node, std::string_view name) {
    if (node->ns == nullptr || text_of(node->ns->href) != kNamespace) return;
    if (name == "group") {
      if (const std::string key = attribute(node, "name"); !key.empty()) groups[key] = attribute(node, "value");
    } else if (name == "groups") {
      read_groups(node, groups);
    }
  });
}

/// Why this disk ties its VM to the host; empty if it does not.
std::string disk_tie(const xmlNode* disk, const std::string& target, const IsSharedPath& is_shared) {
  const xmlNode* source = child(disk, "source");
  if (source == nullptr) return {};  // an empty drive
  const std::string type = attribute(disk, "type");
  if (type == "network") return {};
  if (type == "file" || type == "block" || type == "dir") {
    const char* key = type == "file" ? "file" : type == "block" ? "dev" : "dir";
    const std::string path = attribute(source, key);
    if (path.empty() || child(disk, "shareable") != nullptr || is_shared(path)) return {};
    return fmt::format("disk {} is local ({})", target, path);
  }
  if (type == "nvme") return fmt::format("disk {} is a passed-through NVMe device", target);
  if (type == "vhostuser" || type == "vhostvdpa")
    return fmt::format("disk {} is served by a process on the host", target);
  if (type == "volume") {
    // resolved by libvirt while the domain runs: mode and path then stand beside the pool's name
    return fmt::format("disk {} is a volume of pool {}, which other hosts may not have", target,
                       attribute(source, "pool"));
  }
  return {};
}

std::string device_tie(const xmlNode* device, std::string_view kind) {
  const std::string type = attribute(device, "type");
  if (kind == "hostdev") {
    if (child(device, "teaming") != nullptr) return {};
    return fmt::format("{} device of the host is passed through", type.empty() ? "a" : type);
  }
  if (kind == "interface" && (type == "hostdev" || type == "vdpa") && child(device, "teaming") == nullptr) {
    return "a network device of the host is passed through";
  }
  if (kind == "filesystem") return "a directory of the host is passed through";
  if (kind == "tpm" && attribute(child(device, "backend"), "type") == "passthrough")
    return "the host's TPM is passed through";
  if ((kind == "serial" || kind == "parallel" || kind == "console") && type == "dev") {
    return fmt::format("a {} port of the host is passed through", kind);
  }
  if (kind == "memory" && attribute(device, "model") == "nvdimm") return "an NVDIMM is backed by a file of the host";
  if (kind == "shmem" && attribute(device, "role") != "master") return "shared memory of the host is attached";
  return {};
}

std::string processor_tie(const xmlNode* domain) {
  const xmlNode* cpu = child(domain, "cpu");
  if (cpu == nullptr) return {};
  if (attribute(cpu, "migratable") == "off") return "its processor model is marked as not migratable";
  std::string tie;
  each_child(cpu, [&](const xmlNode* node, std::string_view name) {
    if (name == "feature" && attribute(node, "name") == "invtsc" && attribute(node, "policy") == "require") {
      tie = "its processor requires an invariant time-stamp counter";
    }
  });
  return tie;
}

}  // namespace

Result<DomainDescription> parse_domain_xml(const std::string& xml, const IsSharedPath& is_shared) {
  const std::unique_ptr<xmlDoc, void (*)(xmlDoc*)> document(
      xmlReadMemory(xml.data(), static_cast<int>(xml.size()), "domain.xml", nullptr,
                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING),
      xmlFreeDoc);
  const xmlNode* domain = document ? xmlDocGetRootElement(document.get()) : nullptr;
  if (domain == nullptr || !is_element(domain, "domain")) return Error{ErrorCode::kCorrupt, "not a domain's XML"};

  DomainDescription description;
  read_groups(child(domain, "metadata"), description.groups);
  const auto tie = [&](std::string reason) {
    if (description.unmovable.empty()) description.unmovable = std::move(reason);
  };
  each_child(child(domain, "devices"), [&](const xmlNode* device, std::string_view kind) {
    if (kind == "disk") {
      const std::string target = attribute(child(device, "target"), "dev");
      if (child(device, "source") != nullptr) description.disks.push_back(target);
      tie(disk_tie(device, target, is_shared));
      return;
    }
    if (kind == "interface") {
      // "direct" is also what a running domain shows of a libvirt network that is a pool of macvtaps
      if (std::string tap = attribute(child(device, "target"), "dev"); !tap.empty())
        description.taps.push_back({std::move(tap), attribute(device, "type") == "direct"});
    }
    if (kind == "memballoon") {
      const std::string period = attribute(child(device, "stats"), "period");
      constexpr std::int64_t kDay = 24 * 3600;
      description.memory_stats_period =
          std::chrono::seconds(std::clamp<std::int64_t>(parse_number(period).value_or(0), 0, kDay));
    }
    tie(device_tie(device, kind));
  });
  if (child(domain, "launchSecurity") != nullptr) tie("its memory is encrypted");
  tie(processor_tie(domain));
  return description;
}

}  // namespace proteus::collect

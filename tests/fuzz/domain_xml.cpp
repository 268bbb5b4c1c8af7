// A domain's definition, as libvirt gives it out; its metadata are anybody's.
#include "agent/collect/domain_xml.h"

#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  return {
      "<domain type='kvm'><name>a</name><devices><disk type='file' device='disk'><source file='/shared/b'/>"
      "<target dev='vdb'/></disk><interface type='bridge'><target dev='vnet3'/></interface>"
      "<hostdev mode='subsystem' type='pci'/></devices></domain>",
      "<domain><metadata><proteus:groups xmlns:proteus=\"https://proteus.example/1\"><proteus:group name=\"tier\" "
      "value=\"db\"/></proteus:groups></metadata><launchSecurity type='sev'/></domain>",
      "<!DOCTYPE d [<!ENTITY a \"b\">]><domain>&a;</domain>"};
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  (void)collect::parse_domain_xml(std::string(fuzz::text_of(data, size)), [](const std::string& path) {
    return path.starts_with("/shared/");
  }).has_value();
  return 0;
}

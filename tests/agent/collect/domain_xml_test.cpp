#include "agent/collect/domain_xml.h"

#include <gtest/gtest.h>

namespace proteus::collect {
namespace {

std::string domain(const std::string& devices, const std::string& rest = "") {
  return "<domain type='kvm'><name>a</name>" + rest + "<devices>" + devices + "</devices></domain>";
}

DomainDescription parse(const std::string& xml) {
  const auto parsed = parse_domain_xml(xml, [](const std::string& path) { return path.rfind("/shared/", 0) == 0; });
  EXPECT_TRUE(parsed);
  return parsed ? *parsed : DomainDescription{};
}

TEST(DomainXml, NetworkDisksAndTapsMayMove) {
  const auto d =
      parse(domain("<disk type='network' device='disk'><source protocol='nbd' name='x'/><target dev='vda'/></disk>"
                   "<disk type='file' device='disk'><source file='/shared/b.qcow2'/><target dev='vdb'/></disk>"
                   "<disk type='file' device='cdrom'><target dev='sda'/></disk>"
                   "<interface type='bridge'><target dev='vnet3'/></interface><interface type='user'/>"
                   "<interface type='direct'><source network='pool' dev='eno1' mode='bridge'/>"
                   "<target dev='macvtap0'/></interface>"));
  EXPECT_EQ(d.unmovable, "");
  EXPECT_EQ(d.disks, (std::vector<std::string>{"vda", "vdb"}));
  EXPECT_EQ(d.taps, (std::vector<Tap>{{"vnet3", false}, {"macvtap0", true}}));
}

TEST(DomainXml, ReadsThePeriodAtWhichAGuestReportsItsMemory) {
  EXPECT_EQ(parse(domain("<memballoon model='virtio'><stats period='10'/></memballoon>")).memory_stats_period,
            std::chrono::seconds(10));
  EXPECT_EQ(parse(domain("<memballoon model='virtio'/>")).memory_stats_period, std::chrono::seconds(0));
}

TEST(DomainXml, SaysWhatTiesAVmToItsHost) {
  const struct {
    const char* devices;
    const char* word;
  } cases[] = {
      {"<hostdev mode='subsystem' type='pci'/>", "pci device"},
      {"<interface type='hostdev'><source/></interface>", "network device"},
      {"<disk type='file'><source file='/var/a.qcow2'/><target dev='vda'/></disk>", "vda is local"},
      {"<disk type='block'><source dev='/dev/sdb'/><target dev='vdb'/></disk>", "vdb is local"},
      {"<disk type='nvme'><source type='pci'/><target dev='vda'/></disk>", "NVMe"},
      {"<filesystem type='mount'><source dir='/x'/></filesystem>", "directory"},
      {"<tpm model='tpm-tis'><backend type='passthrough'/></tpm>", "TPM"},
      {"<memory model='nvdimm'><source><path>/x</path></source></memory>", "NVDIMM"},
  };
  for (const auto& c : cases) {
    EXPECT_NE(parse(domain(c.devices)).unmovable.find(c.word), std::string::npos) << c.devices;
  }
  EXPECT_NE(parse(domain("", "<launchSecurity type='sev'/>")).unmovable, "");
  EXPECT_NE(parse(domain("", "<cpu mode='host-passthrough' migratable='off'/>")).unmovable, "");
  EXPECT_NE(parse(domain("", "<cpu><feature policy='require' name='invtsc'/></cpu>")).unmovable, "");
}

TEST(DomainXml, FailoverAndShareableDevicesDoNotTie) {
  EXPECT_EQ(parse(domain("<interface type='hostdev'><source/><teaming type='transient' persistent='u'/></interface>"))
                .unmovable,
            "");
  EXPECT_EQ(
      parse(domain("<disk type='block'><source dev='/dev/sdb'/><target dev='vdb'/><shareable/></disk>")).unmovable, "");
  EXPECT_EQ(parse(domain("", "<cpu mode='host-passthrough' migratable='on'/>")).unmovable, "");
}

TEST(DomainXml, ReadsGroupsOfItsOwnNamespaceOnly) {
  const auto d = parse(domain("",
                              "<metadata><p:groups xmlns:p='https://proteus.example/1'>"
                              "<p:group name='tier' value='db'/><p:group name='rack' value='7'/></p:groups>"
                              "<o:group xmlns:o='https://other.example/' name='tier' value='web'/></metadata>"));
  EXPECT_EQ(d.groups, (std::map<std::string, std::string>{{"rack", "7"}, {"tier", "db"}}));
  EXPECT_EQ(parse(domain("", "<metadata><p:group xmlns:p='https://proteus.example/1' name='a' value='b'/></metadata>"))
                .groups.at("a"),
            "b");
}

bool nowhere(const std::string&) {
  return false;
}

TEST(DomainXml, RefusesWhatIsNoDomain) {
  EXPECT_EQ(parse_domain_xml("<domain", nowhere).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(parse_domain_xml("<network/>", nowhere).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(parse_domain_xml("", nowhere).error().code, ErrorCode::kCorrupt);
}

TEST(DomainXml, ExpandsNoExternalEntity) {
  const auto parsed = parse_domain_xml(
      "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><domain><devices>&e;</devices></domain>", nowhere);
  if (parsed) {
    EXPECT_TRUE(parsed->disks.empty());
  }
}

}  // namespace
}  // namespace proteus::collect

#include "agent/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/toml_document.h"

namespace proteus {
namespace {

using testing::HasSubstr;

TEST(AgentConfig, TheShippedFileIsGoodAndShowsTheDefaults) {
  const auto text = read_config_file(PROTEUS_SOURCE_DIR "/packaging/config/agent.toml");
  ASSERT_TRUE(text) << text.error().message;
  const auto shipped = parse_agent_config(*text, "agent.toml");
  ASSERT_TRUE(shipped) << shipped.error().message;
  const auto defaults = parse_agent_config("", "empty");
  ASSERT_TRUE(defaults);
  EXPECT_EQ(shipped->host, defaults->host);
  EXPECT_EQ(shipped->state_directory, defaults->state_directory);
  EXPECT_EQ(shipped->secret_key, defaults->secret_key);
  EXPECT_EQ(shipped->tick, defaults->tick);
  EXPECT_EQ(shipped->log_level, defaults->log_level);
  EXPECT_EQ(shipped->libvirt_uri, defaults->libvirt_uri);
  EXPECT_EQ(shipped->slow_interval, defaults->slow_interval);
  EXPECT_EQ(shipped->kernel_programs, defaults->kernel_programs);
  EXPECT_EQ(shipped->hook_statistics, defaults->hook_statistics);
  EXPECT_EQ(shipped->spool_bytes_max, defaults->spool_bytes_max);
  EXPECT_EQ(shipped->leader_lease, defaults->leader_lease);
  const act::LocalLimits& a = shipped->limits;
  const act::LocalLimits& b = defaults->limits;
  EXPECT_EQ(std::tie(a.allow_reshape, a.allow_migrate, a.allow_receive, a.protected_vms, a.cpu_quota_percent_min,
                     a.cpu_shares_min, a.cpu_shares_max, a.vcpus_min, a.vcpus_max, a.memory_bytes_min),
            std::tie(b.allow_reshape, b.allow_migrate, b.allow_receive, b.protected_vms, b.cpu_quota_percent_min,
                     b.cpu_shares_min, b.cpu_shares_max, b.vcpus_min, b.vcpus_max, b.memory_bytes_min));
  EXPECT_EQ(std::tie(a.concurrent_migrations_max, a.migration_bandwidth_bytes_per_s_max, a.host_memory_reserve_bytes,
                     a.incoming_cpu_millicores_max, a.incoming_memory_bytes_max, a.reservation_lifetime),
            std::tie(b.concurrent_migrations_max, b.migration_bandwidth_bytes_per_s_max, b.host_memory_reserve_bytes,
                     b.incoming_cpu_millicores_max, b.incoming_memory_bytes_max, b.reservation_lifetime));
  EXPECT_TRUE(shipped->controllers.empty());
}

TEST(AgentConfig, EveryCommentedExampleIsAValidKey) {
  auto text = read_config_file(PROTEUS_SOURCE_DIR "/packaging/config/agent.toml");
  ASSERT_TRUE(text);
  // Lines such as "# vcpus_max = 16" and "# [[controller]]" show what may be written; prose has no '=' after one word.
  std::string uncommented;
  std::size_t at = 0;
  while (at < text->size()) {
    const std::size_t end = text->find('\n', at);
    std::string line = text->substr(at, end - at);
    at = end + 1;
    const bool example = line.starts_with("# [[") || (line.starts_with("# ") && line.find(" = ") != std::string::npos &&
                                                      line.find(' ', 2) == line.find(" = "));
    if (example) line.erase(0, 2);
    if (line.starts_with("public_key")) line = "public_key = \"KOPq^MzC!DAD0H18hpZwCtTJ?e@7Mx)&egkm9!sJ\"";
    uncommented += line + "\n";
  }
  const auto config = parse_agent_config(uncommented, "agent.toml");
  // The [[controller]] example stands before [libvirt], so nothing below it lands in the wrong table.
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->controllers.size(), 1U);
  EXPECT_EQ(config->controllers[0].command, "tcp://controller1:7402");
  EXPECT_EQ(config->host.value, "h1");
  EXPECT_EQ(config->limits.vcpus_max, 16);
  EXPECT_EQ(config->limits.incoming_memory_bytes_max, 16 * kGiB);
  EXPECT_EQ(config->limits.incoming_cpu_millicores_max, 8000);
  EXPECT_EQ(config->peer_uri, "qemu+tcp://HOSTNAME/system");
}

// "yes" hides what is mounted there from the table of mounts that the agent reads.
TEST(AgentUnit, SeesWhatIsMountedBelowHome) {
  const auto unit = read_config_file(PROTEUS_SOURCE_DIR "/packaging/systemd/proteus-agent.service");
  ASSERT_TRUE(unit) << unit.error().message;
  EXPECT_THAT(*unit, HasSubstr("\nProtectHome=read-only\n"));
  EXPECT_THAT(*unit, testing::Not(HasSubstr("InaccessiblePaths")));
}

TEST(AgentConfig, SaysEveryProblemWithItsLine) {
  const auto config = parse_agent_config(
      "tikc = \"1s\"\n"
      "log_level = \"loud\"\n"
      "host = \"a b\"\n"
      "[limits]\n"
      "allow = [\"fly\"]\n"
      "cpu_shares_min = 3000\n"
      "cpu_shares_max = 2000\n"
      "vcpus_max = \"many\"\n"
      "[[controller]]\n"
      "telemetry = \"controller1\"\n"
      "public_key = \"short\"\n",
      "agent.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
  for (const char* part :
       {"agent.toml:1: ", "tikc", "agent.toml:2: ", "agent.toml:3: ", "agent.toml:5: ", "'fly'",
        "agent.toml:6: ", "agent.toml:8: ", "agent.toml:9: ", "agent.toml:10: ", "agent.toml:11: "}) {
    EXPECT_THAT(config.error().message, HasSubstr(part));
  }
}

TEST(AgentConfig, TwoControllersWithOneAddressOrKeyAreAMistake) {
  const std::string block =
      "[[controller]]\ntelemetry = \"tcp://c:1\"\ncommand = \"tcp://c:2\"\n"
      "public_key = \"KOPq^MzC!DAD0H18hpZwCtTJ?e@7Mx)&egkm9!sJ\"\n";
  EXPECT_TRUE(parse_agent_config(block, "f"));
  const auto twice = parse_agent_config(block + block, "f");
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("f:7: another [[controller]]"));
  const auto one_key =
      parse_agent_config(block + "[[controller]]\ntelemetry = \"tcp://d:1\"\ncommand = \"tcp://d:2\"\n" +
                             block.substr(block.find("public_key")),
                         "f");
  ASSERT_FALSE(one_key);
  EXPECT_THAT(one_key.error().message, HasSubstr("f:8: another [[controller]] has the same key"));
}

TEST(AgentConfig, AGlobThatWouldProtectNothingIsAMistake) {
  for (const char* glob : {"", "[", "db-[12", "a[]b"}) {
    EXPECT_FALSE(parse_agent_config(std::string("[limits]\nprotected = [\"") + glob + "\"]\n", "f")) << glob;
  }
  for (const char* glob : {"db-*", "db-[12]", "[!a]*"}) {
    EXPECT_TRUE(parse_agent_config(std::string("[limits]\nprotected = [\"") + glob + "\"]\n", "f")) << glob;
  }
}

TEST(AgentConfig, AnAddressOfLibvirtHasItsForm) {
  for (const char* key : {"uri", "peer_uri"}) {
    const auto read = [&](const std::string& uri) {
      return parse_agent_config("[libvirt]\n" + std::string(key) + " = \"" + uri + "\"\n", "f");
    };
    for (const char* wrong : {"nonsense", "qemu", "qemu:", "qemu://", "://host/system", "qemu+://h/system", "/system",
                              "+tls://h/system", "qemu+tls:/h/system", "qemu+tls://h", "qemu:///sys tem"}) {
      const auto config = read(wrong);
      ASSERT_FALSE(config) << wrong;
      EXPECT_THAT(config.error().message, HasSubstr("f:2: '" + std::string(wrong) + "' in '" + key + "' is not"))
          << wrong;
    }
    for (const char* good :
         {"", "qemu:///system", "qemu+unix:///system?socket=/nonexistent", "test:///default", "lxc:///"}) {
      EXPECT_TRUE(read(good)) << good;
    }
  }
}

// The VMs of another host would be told as this one's, and commands for them carried out there.
TEST(AgentConfig, OnlyAPeersAddressNamesAHost) {
  for (const char* uri :
       {"qemu+tls://h1/system", "qemu+libssh2://root@[::1]:22/system?mode=auto", "qemu+unix://h1/system?a=:///"}) {
    EXPECT_TRUE(parse_agent_config("[libvirt]\npeer_uri = \"" + std::string(uri) + "\"\n", "f")) << uri;
    const auto config = parse_agent_config("[libvirt]\nuri = \"" + std::string(uri) + "\"\n", "f");
    ASSERT_FALSE(config) << uri;
    EXPECT_THAT(config.error().message, HasSubstr("f:2: '" + std::string(uri) + "' in 'uri' names a host"));
  }
  for (const char* uri : {"qemu+tcp://localhost/system", "qemu+tcp://127.0.0.1/system", "qemu+tls://[::1]/system"}) {
    EXPECT_TRUE(parse_agent_config("[libvirt]\nuri = \"" + std::string(uri) + "\"\n", "f")) << uri;
  }
}

TEST(AgentConfig, AnAddressForAGuestsMemoryHasItsForm) {
  const auto read = [](const std::string& uri) {
    return parse_agent_config("[libvirt]\nmigrate_uri = \"" + uri + "\"\n", "f");
  };
  for (const char* wrong : {"h1", "tcp", "tcp:", "tcp:/h1", "tcp://", "tcp:///", "tcp://:49152", "tcp://h1/a",
                            "tcp://h 1", "http://h1", "qemu+tcp://h1/system", "unix://", "unix:///", "rdma:/h1"}) {
    const auto config = read(wrong);
    ASSERT_FALSE(config) << wrong;
    EXPECT_THAT(config.error().message, HasSubstr("f:2: '" + std::string(wrong) + "' in 'migrate_uri' is none"));
  }
  for (const char* good : {"", "tcp://h1", "tcp://h1/", "tcp:h1", "tcp://10.0.0.1:49152", "tcp://[::1]:49152",
                           "rdma://h1", "unix:///run/m"}) {
    EXPECT_TRUE(read(good)) << good;
  }
}

TEST(AgentConfig, WhatIsAllowedIsWhatIsListed) {
  const auto config = parse_agent_config("[limits]\nallow = [\"reshape\"]\nprotected = [\"db-*\"]\n", "f");
  ASSERT_TRUE(config);
  EXPECT_TRUE(config->limits.allow_reshape);
  EXPECT_FALSE(config->limits.allow_migrate);
  EXPECT_FALSE(config->limits.allow_receive);
  EXPECT_EQ(config->limits.protected_vms, std::vector<std::string>{"db-*"});
}

}  // namespace
}  // namespace proteus

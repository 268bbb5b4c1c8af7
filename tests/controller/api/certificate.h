#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <memory>
#include <string>

namespace proteus::api {

/// A self-signed certificate and its key, in PEM files. pair: taken over.
inline void make_certificate(const std::string& certificate_file, const std::string& key_file,
                             EVP_PKEY* pair = EVP_EC_gen("P-256")) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(pair, EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
  ASSERT_TRUE(key != nullptr && made != nullptr);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  X509_set_pubkey(made.get(), key.get());
  X509_NAME* name = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("h1"), -1, -1, 0);
  X509_set_issuer_name(made.get(), name);
  ASSERT_NE(X509_sign(made.get(), key.get(), EVP_sha256()), 0);
  const std::unique_ptr<FILE, decltype(&std::fclose)> to(std::fopen(certificate_file.c_str(), "w"), std::fclose);
  const std::unique_ptr<FILE, decltype(&std::fclose)> key_to(std::fopen(key_file.c_str(), "w"), std::fclose);
  ASSERT_TRUE(to != nullptr && key_to != nullptr);
  ASSERT_EQ(PEM_write_X509(to.get(), made.get()), 1);
  ASSERT_EQ(PEM_write_PrivateKey(key_to.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
}

}  // namespace proteus::api

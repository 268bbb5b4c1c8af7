# PROTEUS_STATIC_DEPS: links statically what other distributions have under another soname or not at all: RocksDB,
# Cap'n Proto, jemalloc and bzip2. What remains shared is either stable across distributions or goes into packages' private
# folder (see CMakeLists.txt here).
foreach(library capnp kj)
  find_library(PROTEUS_STATIC_${library} lib${library}.a REQUIRED)
  set_target_properties(CapnProto::${library} PROPERTIES IMPORTED_LOCATION ${PROTEUS_STATIC_${library}})
endforeach()

find_library(PROTEUS_STATIC_jemalloc libjemalloc_pic.a REQUIRED)
set_target_properties(PkgConfig::JEMALLOC PROPERTIES INTERFACE_LINK_LIBRARIES "${PROTEUS_STATIC_jemalloc};m;dl;pthread")

find_library(PROTEUS_STATIC_bz2 libbz2.a REQUIRED)
get_target_property(proteus_rocksdb_needs RocksDB::rocksdb INTERFACE_LINK_LIBRARIES)
list(TRANSFORM proteus_rocksdb_needs REPLACE "^.*/libbz2[.]so$" ${PROTEUS_STATIC_bz2})
set_target_properties(RocksDB::rocksdb PROPERTIES INTERFACE_LINK_LIBRARIES "${proteus_rocksdb_needs}")

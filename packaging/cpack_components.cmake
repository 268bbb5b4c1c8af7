# Read by CPack for each generator: a DEB's dependencies are Debian's own packages, an RPM brings some along.
set(CPACK_COMPONENTS_ALL agent controller proteusctl)
if(CPACK_GENERATOR STREQUAL "DEB")
  # It would be put in front of each package's own description.
  unset(CPACK_PACKAGE_DESCRIPTION_SUMMARY)
elseif(CPACK_GENERATOR STREQUAL "RPM")
  list(APPEND CPACK_COMPONENTS_ALL libs)
endif()

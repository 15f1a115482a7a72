# install.cmake - headers, libraries, program, models, pkg-config file, CMake package, man pages.
include(CMakePackageConfigHelpers)

install(DIRECTORY include/heddle DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS heddle_shared EXPORT heddleTargets)
install(TARGETS heddle_static)
install(EXPORT heddleTargets NAMESPACE heddle:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/heddle)

if(TARGET heddle_program)
  install(TARGETS heddle_program)
endif()

# The program knows its own manual: one page for itself and one a command, whose names stand in its table.
set(heddle_man_pages)
if(HEDDLE_MAN AND TARGET heddle_program AND EXISTS ${PROJECT_SOURCE_DIR}/host/cli/cli_commands.c
    AND NOT HEDDLE_SANITIZE AND NOT HEDDLE_COVERAGE AND NOT HEDDLE_FUZZ AND NOT CMAKE_CROSSCOMPILING)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS host/cli/cli_commands.c)
  file(STRINGS host/cli/cli_commands.c command_lines REGEX "^ *{ \"[a-z]+\", HDL__")
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/man)
  foreach(line IN ITEMS program ${command_lines})
    set(page heddle)
    set(command)
    if(NOT line STREQUAL "program")
      string(REGEX REPLACE "^ *{ \"([a-z]+)\".*" "\\1" command "${line}")
      set(page heddle-${command})
    endif()
    add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/man/${page}.1
      COMMAND heddle_program help --man ${command} > ${PROJECT_BINARY_DIR}/man/${page}.1
      DEPENDS heddle_program VERBATIM)
    list(APPEND heddle_man_pages ${PROJECT_BINARY_DIR}/man/${page}.1)
  endforeach()
  add_custom_target(heddle_man ALL DEPENDS ${heddle_man_pages})
  install(FILES ${heddle_man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

if(EXISTS ${PROJECT_SOURCE_DIR}/models)
  install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/heddle/models)
endif()
foreach(document IN ITEMS LICENSE NOTICE README.md CHANGELOG.md)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${document})
    install(FILES ${document} DESTINATION ${CMAKE_INSTALL_DOCDIR})
  endif()
endforeach()

# The installed tree may be moved: heddle.pc finds its prefix from where it lies.
file(RELATIVE_PATH heddle_prefix_from_pc "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p")
string(REGEX REPLACE "/$" "" heddle_prefix_from_pc "${heddle_prefix_from_pc}")
set(heddle_private_libraries "")
if(heddle_uses_onednn)
  set(heddle_private_libraries "-ldnnl ")
endif()
configure_file(cmake/heddle.pc.in ${PROJECT_BINARY_DIR}/heddle.pc @ONLY)
configure_package_config_file(cmake/heddleConfig.cmake.in ${PROJECT_BINARY_DIR}/heddleConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/heddle)
# Before 1.0 a minor version may break: 0.1 does not serve who asks for 0.2.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/heddleConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/heddle.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_BINARY_DIR}/heddleConfig.cmake ${PROJECT_BINARY_DIR}/heddleConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/heddle)

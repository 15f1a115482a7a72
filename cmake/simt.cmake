# simt.cmake - libheddle-simt.so: the sources of kernels/ compiled as C++ against the CPU stand-in for CUDA in tests/simt/,
# and the stand-in's own tests. Needs g++, its libbacktrace, and the CUDA toolkit's headers (no compiler, no driver).

if(HEDDLE_FUZZ)
  return()
endif()

find_path(HEDDLE_CUDA_INCLUDE_DIR cuda_runtime_api.h HINTS $ENV{CUDA_HOME}/include /usr/local/cuda/include)
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libbacktrace.a
  OUTPUT_VARIABLE simt_backtrace OUTPUT_STRIP_TRAILING_WHITESPACE)
mark_as_advanced(HEDDLE_CUDA_INCLUDE_DIR)

set(simt_missing)
if(NOT HEDDLE_CUDA_INCLUDE_DIR)
  set(simt_missing "no CUDA headers (cuda_runtime_api.h)")
elseif(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(simt_missing "the compiler is not g++")
elseif(NOT IS_ABSOLUTE "${simt_backtrace}" OR NOT EXISTS "${simt_backtrace}")
  set(simt_missing "no libbacktrace.a beside the compiler")
elseif(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(simt_missing "fibers are switched for x86-64 only")
elseif(HEDDLE_SANITIZE MATCHES "thread")
  set(simt_missing "its race detector takes the place of the thread sanitizer's library")
endif()

if(simt_missing)
  message(STATUS "heddle ${PROJECT_VERSION}: simt OFF: ${simt_missing}")
  foreach(name IN ITEMS simt_core_check simt_runtime_check simt_mutants)
    heddle_register(${name} simt /bin/sh -c "echo \"skipped: simt: $1\" && echo '0 passed, 0 failed'" sh "${simt_missing}")
  endforeach()
  return()
endif()
message(STATUS "heddle ${PROJECT_VERSION}: simt ON, CUDA headers in ${HEDDLE_CUDA_INCLUDE_DIR}")

set(simt_folder ${PROJECT_SOURCE_DIR}/tests/simt)

# ---- the stand-in itself ---------------------------------------------------------------------------------------------

add_library(simt_needs INTERFACE)
target_include_directories(simt_needs INTERFACE ${simt_folder}/include ${simt_folder} ${PROJECT_SOURCE_DIR}/include
  ${PROJECT_SOURCE_DIR}/kernels)
target_include_directories(simt_needs SYSTEM INTERFACE ${HEDDLE_CUDA_INCLUDE_DIR} ${HEDDLE_CUDA_INCLUDE_DIR}/cccl)
target_compile_definitions(simt_needs INTERFACE HDL_SIMT=1)

file(GLOB simt_sources CONFIGURE_DEPENDS ${simt_folder}/*.cc ${simt_folder}/*.S)
list(FILTER simt_sources EXCLUDE REGEX "/simt_(core|runtime)_check[^/]*\\.cc$")
add_library(simt_core OBJECT ${simt_sources})
target_link_libraries(simt_core PRIVATE heddle_flags simt_needs)
# Every load of a kernel ends in these files, so they are optimised in every build.
target_compile_options(simt_core PRIVATE -g -O2)

# ---- code of the device ----------------------------------------------------------------------------------------------

# Plain accesses call the race detector (-fsanitize=thread, but never libtsan), with the source line (-g). What the optimiser
# may not do: move an access to where the source has none, make two call sites of one or one of two, split a vector's
# access, or hide a volatile one. Pragmas that only nvcc knows (unroll) say nothing here.
set(simt_device_flags -O2 -g -ffp-contract=off -Wall -Wextra -Wno-unknown-pragmas -fno-exceptions -fno-rtti
  -fno-thread-jumps -fno-split-paths -fno-unswitch-loops -fno-hoist-adjacent-loads
  -fno-tree-sra -fno-crossjumping -fno-tree-tail-merge $<$<BOOL:${HEDDLE_WERROR}>:-Werror>)
set(simt_watch_flags -fsanitize=thread --param=tsan-distinguish-volatile=1)

# A fused multiply-add of the processor is several times faster than libm's, with the same result.
include(CheckCXXSourceRuns)
set(CMAKE_REQUIRED_FLAGS -mfma)
check_cxx_source_runs("int main(int n, char **) { return __builtin_fma(double(n), 2.0, -2.0 * n) != 0.0; }" simt_has_fma)
unset(CMAKE_REQUIRED_FLAGS)
if(simt_has_fma)
  list(APPEND simt_device_flags -mfma)
endif()

# Device code under an address sanitizer: the race detector already checks every access of a kernel, the sanitizer the rest.
# Counting lines makes accesses of its own that are no part of a kernel, so a coverage build does not watch the kernels.
file(GLOB simt_kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
set(simt_library_sources $<TARGET_OBJECTS:simt_core>)
if(simt_kernels)
  set_source_files_properties(${simt_kernels} PROPERTIES LANGUAGE CXX)
  add_library(simt_kernels OBJECT ${simt_kernels})
  target_link_libraries(simt_kernels PRIVATE simt_needs)
  target_compile_options(simt_kernels PRIVATE ${simt_device_flags})
  if(HEDDLE_COVERAGE)
    target_compile_options(simt_kernels PRIVATE --coverage -O1 -fprofile-update=atomic)
  else()
    target_compile_options(simt_kernels PRIVATE ${simt_watch_flags})
  endif()
  target_compile_options(simt_kernels PRIVATE -x c++)
  list(APPEND simt_library_sources $<TARGET_OBJECTS:simt_kernels>)
endif()

# The stand-in's objects come first: of an inline function that both hold, the unwatched copy is taken.
add_library(heddle_simt SHARED ${simt_library_sources})
set_target_properties(heddle_simt PROPERTIES OUTPUT_NAME heddle-simt LINKER_LANGUAGE CXX
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} LINK_DEPENDS ${simt_folder}/simt.map)
target_link_libraries(heddle_simt PRIVATE heddle_flags ${simt_backtrace} Threads::Threads ${CMAKE_DL_LIBS})
target_link_options(heddle_simt PRIVATE -Wl,--version-script=${simt_folder}/simt.map)
if(NOT HEDDLE_SANITIZE AND NOT HEDDLE_FUZZ)
  target_link_options(heddle_simt PRIVATE -Wl,--no-undefined)
endif()

# ---- its tests -------------------------------------------------------------------------------------------------------

function(heddle_add_simt_program name)
  add_executable(${name} $<TARGET_OBJECTS:simt_core> ${ARGN})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${tests_output})
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "${simt_device_flags};${simt_watch_flags}")
  target_link_libraries(${name} PRIVATE simt_needs ${simt_backtrace} Threads::Threads ${CMAKE_DL_LIBS})
  if(HEDDLE_SANITIZE)
    target_link_options(${name} PRIVATE -fsanitize=${HEDDLE_SANITIZE})
  endif()
  if(HEDDLE_COVERAGE)
    target_link_options(${name} PRIVATE --coverage)
  endif()
  heddle_register(${name} simt $<TARGET_FILE:${name}>)
endfunction()

foreach(name IN ITEMS simt_core_check simt_runtime_check)
  file(GLOB simt_check_sources CONFIGURE_DEPENDS ${simt_folder}/${name}*.cc)
  if(simt_check_sources)
    heddle_add_simt_program(${name} ${simt_check_sources})
  endif()
endforeach()
file(GLOB simt_mutant_sources CONFIGURE_DEPENDS ${simt_folder}/mutants/*.cc)
heddle_add_simt_program(simt_mutants ${simt_mutant_sources})

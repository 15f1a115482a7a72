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
# Every load of a kernel ends in these files, so they are optimised in every build; their lines are not asked for. Linked last, these
# flags come behind those of an instrumented build, which they take back.
add_library(simt_core_flags INTERFACE)
target_compile_options(simt_core_flags INTERFACE -g -O2 $<$<BOOL:${HEDDLE_COVERAGE}>:-fno-profile-arcs;-fno-test-coverage>)
target_link_libraries(simt_core PRIVATE heddle_flags simt_needs simt_core_flags)

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
# Counting lines makes accesses of its own that are no part of a kernel, so a coverage build does not watch the kernels. It does
# not optimise them either: an optimiser drops lines (a return, a continue) from what gcov counts. Kernels run one at a time, their
# threads being fibers, so plain counters do.
file(GLOB simt_kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
include(${PROJECT_SOURCE_DIR}/cmake/cublaslt.cmake)
heddle_choose_cublaslt(simt_kernels ${HEDDLE_CUDA_INCLUDE_DIR})
set(simt_library_sources $<TARGET_OBJECTS:simt_core>)
if(simt_kernels)
  set_source_files_properties(${simt_kernels} PROPERTIES LANGUAGE CXX)
  add_library(simt_kernels OBJECT ${simt_kernels})
  target_link_libraries(simt_kernels PRIVATE simt_needs)
  target_compile_options(simt_kernels PRIVATE ${simt_device_flags})
  if(HEDDLE_COVERAGE)
    target_compile_options(simt_kernels PRIVATE --coverage -O0)
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

# ---- doubles of optional libraries, for tests: tests/cublaslt/NAME/libcublasLt.so.13 ------------------------------------

if(HEDDLE_CUBLASLT AND EXISTS ${HEDDLE_CUDA_INCLUDE_DIR}/cublasLt.h)
  foreach(name IN ITEMS sound drifts places second splits skips empty no_symbol no_start old breaks
          narrow first_narrow hungry other_sizes)
    string(TOUPPER FAKE_${name} kind)
    add_library(fake_cublaslt_${name} MODULE ${PROJECT_SOURCE_DIR}/tests/doubles/fake_cublaslt.c)
    set_target_properties(fake_cublaslt_${name} PROPERTIES OUTPUT_NAME cublasLt SUFFIX .so.13 C_VISIBILITY_PRESET default
      LIBRARY_OUTPUT_DIRECTORY ${tests_output}/cublaslt/${name})
    target_compile_definitions(fake_cublaslt_${name} PRIVATE FAKE=${kind} BUILDS_${kind})
    target_include_directories(fake_cublaslt_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/host)
    target_include_directories(fake_cublaslt_${name} SYSTEM PRIVATE ${HEDDLE_CUDA_INCLUDE_DIR})
    target_link_libraries(fake_cublaslt_${name} PRIVATE heddle_flags simt_core_flags heddle_simt)
  endforeach()
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

# ---- doubles of NCCL: tests/nccl/VARIANT/libnccl.so.2, one for each way in which it can meet the backend -------------
foreach(variant IN ITEMS works init_fails broadcast_fails no_broadcast no_version old stalls async_error goes_on)
  string(TOUPPER ${variant} upper)
  add_library(nccl_${variant} MODULE ${PROJECT_SOURCE_DIR}/tests/doubles/fake_nccl.c)
  set_target_properties(nccl_${variant} PROPERTIES PREFIX lib SUFFIX .so.2 OUTPUT_NAME nccl
    LIBRARY_OUTPUT_DIRECTORY ${tests_output}/nccl/${variant})
  target_include_directories(nccl_${variant} PRIVATE ${simt_folder})
  target_compile_definitions(nccl_${variant} PRIVATE FAKE_${upper})
  target_link_libraries(nccl_${variant} PRIVATE heddle_flags simt_core_flags heddle_simt)
endforeach()

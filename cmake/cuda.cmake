# cuda.cmake - libheddle-cuda.so: kernels/*.cu by nvcc for sm_80 and sm_90a, with the runtime linked in, so that the
# library loads on machines without a driver and says so. Other GPUs from compute capability 8.0 on take sm_80's PTX.
# HEDDLE_CUDA_RELEASE adds sm_100 and its PTX.
#
# nvcc is called by rules of our own, not as a language of CMake: the same sources are C++ for the stand-in.

option(HEDDLE_CUDA "Build the CUDA backend where nvcc is found" ON)
option(HEDDLE_CUDA_RELEASE "Add code for sm_100 and its PTX, which newer GPUs translate: half as long again to build" OFF)

set(cuda_missing)
if(NOT HEDDLE_CUDA)
  set(cuda_missing "switched off by HEDDLE_CUDA")
elseif(HEDDLE_SANITIZE OR HEDDLE_COVERAGE OR HEDDLE_FUZZ)
  set(cuda_missing "an instrumented build runs the kernels on the stand-in")
else()
  find_program(HEDDLE_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
  mark_as_advanced(HEDDLE_NVCC)
  if(NOT HEDDLE_NVCC)
    set(cuda_missing "no nvcc on the path, in CUDA_HOME/bin or in /usr/local/cuda/bin")
  endif()
endif()
if(NOT cuda_missing)
  execute_process(COMMAND ${HEDDLE_NVCC} --version OUTPUT_VARIABLE cuda_words ERROR_QUIET)
  string(REGEX MATCH "release ([0-9]+\\.[0-9]+)" cuda_words "${cuda_words}")
  set(cuda_version "${CMAKE_MATCH_1}")
  if(NOT cuda_version OR cuda_version VERSION_LESS 12.0)
    set(cuda_missing "${HEDDLE_NVCC} is of CUDA \"${cuda_version}\"; sm_90a needs 12.0")
  elseif(HEDDLE_CUDA_RELEASE AND cuda_version VERSION_LESS 12.8)
    message(FATAL_ERROR "HEDDLE_CUDA_RELEASE: ${HEDDLE_NVCC} is of CUDA ${cuda_version}; sm_100 needs 12.8")
  endif()
endif()
if(NOT cuda_missing)
  get_filename_component(cuda_bin ${HEDDLE_NVCC} REALPATH)
  get_filename_component(cuda_bin ${cuda_bin} DIRECTORY)
  find_library(HEDDLE_CUDART_STATIC cudart_static HINTS ${cuda_bin}/../lib64 ${cuda_bin}/../lib
    ${cuda_bin}/../targets/x86_64-linux/lib)
  mark_as_advanced(HEDDLE_CUDART_STATIC)
  if(NOT HEDDLE_CUDART_STATIC)
    set(cuda_missing "no libcudart_static.a beside ${HEDDLE_NVCC}")
  endif()
endif()
file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
if(NOT cuda_missing AND NOT cuda_sources)
  set(cuda_missing "no kernels/*.cu")
endif()
if(cuda_missing)
  message(STATUS "heddle ${PROJECT_VERSION}: CUDA OFF: ${cuda_missing}")
  return()
endif()
message(STATUS "heddle ${PROJECT_VERSION}: CUDA ON, ${HEDDLE_NVCC}")
include(${PROJECT_SOURCE_DIR}/cmake/cublaslt.cmake)
heddle_choose_cublaslt(cuda_sources ${cuda_bin}/../include)

# Contraction is off as on the CPU: where a fused product is wanted the code says fmaf. -lineinfo costs nothing at run
# time and gives profilers and compute-sanitizer the source line; it triples the device code, which is kept compressed.
set(cuda_flags -std=c++17 -O3 -fmad=false -lineinfo --expt-relaxed-constexpr -I${PROJECT_SOURCE_DIR}/include
  -gencode arch=compute_80,code=[sm_80,compute_80] -gencode arch=compute_90a,code=sm_90a
  -Xptxas -v,-warn-spills -Xfatbin -compress-all
  -Xcompiler -fPIC,-fvisibility=hidden,-ffp-contract=off,-Wall,-Wextra,-Wno-format-truncation)
if(HEDDLE_CUDA_RELEASE)
  list(APPEND cuda_flags -gencode arch=compute_100,code=[sm_100,compute_100])
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND cuda_flags -ccbin ${CMAKE_CXX_COMPILER})
endif()
if(HEDDLE_WERROR)
  list(APPEND cuda_flags -Werror all-warnings)
endif()

set(cuda_objects)
foreach(source IN LISTS cuda_sources)
  get_filename_component(name ${source} NAME_WE)
  set(object ${PROJECT_BINARY_DIR}/kernels/${name}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -DWERROR=${HEDDLE_WERROR} -P ${PROJECT_SOURCE_DIR}/cmake/nvcc_checked.cmake --
      ${HEDDLE_NVCC} ${cuda_flags} -MD -MF ${object}.d -c ${source} -o ${object}
    DEPENDS ${source} ${PROJECT_SOURCE_DIR}/cmake/nvcc_checked.cmake
    DEPFILE ${object}.d COMMENT "nvcc ${name}.cu" VERBATIM)
  list(APPEND cuda_objects ${object})
endforeach()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/kernels)
set_source_files_properties(${cuda_objects} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)

add_library(heddle_cuda MODULE ${cuda_objects})
set_target_properties(heddle_cuda PROPERTIES OUTPUT_NAME heddle-cuda LINKER_LANGUAGE CXX
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/cuda.map)
target_link_libraries(heddle_cuda PRIVATE ${HEDDLE_CUDART_STATIC} Threads::Threads ${CMAKE_DL_LIBS} rt)
target_link_options(heddle_cuda PRIVATE -Wl,-z,relro,-z,now,--as-needed,--no-undefined
  -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/cuda.map)
install(TARGETS heddle_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})

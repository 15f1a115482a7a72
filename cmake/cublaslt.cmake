# cublaslt.cmake - whether the CUDA backend offers cuBLASLt's products. The library is opened at run time and never linked; only its
# header, cublasLt.h, must be there to compile the calls.

option(HEDDLE_CUBLASLT "Offer cuBLASLt's matrix products where its header is found (HDL_PRODUCTS_CUBLASLT)" ON)

# Leaves in the list of kernels/*.cu either the calls or what stands for them.
function(heddle_choose_cublaslt sources include_dir)
  set(calls "/(cublaslt|gemm_library|gemm_library_plan)\\.cu$")
  set(kept ${${sources}})
  if(HEDDLE_CUBLASLT AND EXISTS "${include_dir}/cublasLt.h")
    list(FILTER kept EXCLUDE REGEX "/gemm_no_library\\.cu$")
    set(words ON)
  else()
    list(FILTER kept EXCLUDE REGEX ${calls})
    set(words OFF)
  endif()
  message(STATUS "heddle ${PROJECT_VERSION}: ${sources}: cuBLASLt ${words}")
  set(${sources} ${kept} PARENT_SCOPE)
endfunction()

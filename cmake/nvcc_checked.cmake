# nvcc_checked.cmake - cmake [-DWERROR=ON] -P nvcc_checked.cmake -- COMMAND...: runs nvcc and reads what ptxas says.
# Spilled registers, and what it prints as remarks (C7504 and its like: setmaxnreg ignored, wgmma serialised), count as
# warnings.

set(command)
set(after FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(after)
    list(APPEND command "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(after TRUE)
  endif()
endforeach()

execute_process(COMMAND ${command} RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${said}")
endif()

# What -v counts for each kernel is only of use when it is bad.
string(REGEX MATCHALL "[^\n]*(warning|\\(C75[0-9][0-9]\\)|[1-9][0-9]* bytes spill)[^\n]*" bad "${said}")
if(bad)
  string(REPLACE ";" "\n" bad "${bad}")
  if(WERROR)
    message(FATAL_ERROR "${bad}")
  endif()
  message("${bad}")
endif()

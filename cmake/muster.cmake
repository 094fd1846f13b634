# What every target shares: compiler rule, flags, precompiled header, and muster_library().

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  message(FATAL_ERROR
    "Muster does not build with g++: version 12, Debian 12's, miscompiles coroutines (an awaited call with an "
    "aggregate temporary frees its members twice; see tests/toolchain). Use clang++-19: ./dev setup installs it.")
endif()
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR "Muster is built with clang 19 (Debian package clang-19); this is "
    "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}.")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

set(MUSTER_OPTIMISE "-O1" CACHE STRING "optimisation flag")
set(MUSTER_SANITIZE "" CACHE STRING "value of -fsanitize=")
option(MUSTER_FUZZ "build the fuzz targets" OFF)

find_program(MUSTER_CCACHE ccache)
if(MUSTER_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_NOHASHDIR=1 CCACHE_PCH_EXTSUM=1 CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${MUSTER_CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wno-missing-field-initializers -Werror
  ${MUSTER_OPTIMISE} -g1 -fno-omit-frame-pointer -Xclang -fno-pch-timestamp)
if(MUSTER_SANITIZE)
  add_compile_options(-fsanitize=${MUSTER_SANITIZE} -fno-sanitize-recover=undefined)
  string(REPLACE "fuzzer-no-link," "" MUSTER_SANITIZE_LINK "${MUSTER_SANITIZE}")
  add_link_options(-fsanitize=${MUSTER_SANITIZE_LINK})
else()
  add_compile_options(-D_FORTIFY_SOURCE=2 -fstack-protector-strong)
endif()
find_program(MUSTER_MOLD mold)
if(MUSTER_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
# Boost.Asio: no deprecated interfaces, epoll reactor; Boost headers are used only through base and io.
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_NO_TS_EXECUTORS BOOST_JSON_NO_LIB
  BOOST_ASIO_DISABLE_VISIBILITY)

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)

# One precompiled header for all: the standard headers and Boost.JSON, which nearly every file sees.
add_library(muster_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_precompile_headers(muster_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)
target_include_directories(muster_pch PRIVATE ${CMAKE_SOURCE_DIR}/src)
# The precompiled file names the folder it was made in, so ccache takes it for another one in each checkout. It compares
# this sum of the headers' text instead, and a second checkout builds from the cache.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -std=c++23 -E -P -x c++ ${CMAKE_SOURCE_DIR}/cmake/pch.h
  OUTPUT_VARIABLE muster_pch_text ERROR_QUIET)
string(SHA256 muster_pch_sum "${muster_pch_text} ${CMAKE_CXX_COMPILER_VERSION}")
# For the same reason the path is relative, to the folder in which Ninja runs the compiler.
function(muster_use_pch target)
  target_compile_options(${target} PRIVATE -include-pch CMakeFiles/muster_pch.dir/cmake_pch.hxx.pch)
  get_target_property(sources ${target} SOURCES)
  set_property(SOURCE ${sources} TARGET_DIRECTORY ${target}
    APPEND PROPERTY OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/CMakeFiles/muster_pch.dir/cmake_pch.hxx.pch)
endfunction()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/CMakeFiles/muster_pch.dir/cmake_pch.hxx.pch.sum CONTENT "${muster_pch_sum}" @ONLY)

# muster_library(name DEPS other ... LINKS external ...): all .cc of this folder except *_test.cc and main.cc become
# library muster_<name>; the *_test.cc become test_<name>, run by ctest.
function(muster_library name)
  cmake_parse_arguments(ARG "" "" "DEPS;LINKS;SOURCES;TEST_DEPS;FOLDERS" ${ARGN})
  set(globs ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(folder ${ARG_FOLDERS})
    list(APPEND globs ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cc)
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${globs})
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(APPEND sources ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPS PREPEND muster_)
  list(TRANSFORM ARG_TEST_DEPS PREPEND muster_)
  if(sources)
    add_library(muster_${name} STATIC ${sources})
    target_include_directories(muster_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(muster_${name} PUBLIC ${ARG_DEPS} ${ARG_LINKS} Threads::Threads)
    muster_use_pch(muster_${name})
  endif()
  if(tests AND NOT MUSTER_FUZZ)
    add_executable(test_${name} ${tests})
    target_link_libraries(test_${name} PRIVATE muster_${name} ${ARG_TEST_DEPS} GTest::gmock GTest::gtest_main)
    muster_use_pch(test_${name})
    add_test(NAME ${name} COMMAND test_${name})
  endif()
endfunction()

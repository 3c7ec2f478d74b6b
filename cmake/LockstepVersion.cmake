# Writes build/generated/version.h: LS_VERSION, LS_COMMIT ("1a2b3c4d5e6f" or "1a2b3c4d5e6f-dirty"), refreshed at every build.
find_package(Git QUIET)
set(LS_GENERATED_DIR ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${LS_GENERATED_DIR})
set(LS_VERSION_ARGS -DOUT=${LS_GENERATED_DIR}/version.h -DVERSION=${PROJECT_VERSION}
    -DSOURCE=${CMAKE_SOURCE_DIR} -DGIT=${GIT_EXECUTABLE} -P ${CMAKE_SOURCE_DIR}/cmake/WriteVersion.cmake)
execute_process(COMMAND ${CMAKE_COMMAND} ${LS_VERSION_ARGS})
add_custom_target(ls_version COMMAND ${CMAKE_COMMAND} ${LS_VERSION_ARGS}
    BYPRODUCTS ${LS_GENERATED_DIR}/version.h COMMENT "" VERBATIM)

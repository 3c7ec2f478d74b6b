# Writes OUT: LS_CORE_VERSION, SHA-256 over the sources that decide what a byte of the core's block means. A checkpoint of
# another version is passed over.
set(text "")
foreach(file ${FILES})
    file(SHA256 ${file} one)
    get_filename_component(name ${file} NAME)
    string(APPEND text "${name} ${one}\n")
endforeach()
string(SHA256 version "${text}")
string(REGEX REPLACE "(..)" "0x\\1, " bytes "${version}")
file(WRITE ${OUT} "/* written by the build; do not edit */\n#define LS_CORE_VERSION {${bytes}}\n")

# What kernels_check, the tree's unit_kernels and gpu_probe are made of, relative to kernels/.
set(KVSIM_KERNEL_CUDA_SOURCES
    all_reduce.cu byte_shuffle.cu checksum.cu decode_attention.cu elementwise.cu packed_kv.cu
    paged_kv.cu prefill_attention.cu)
set(KVSIM_KERNEL_HOST_SOURCES
    all_reduce_reference.cpp attention_reference.cpp byte_shuffle_reference.cpp
    checksum_reference.cpp copy_paths.cpp elementwise_reference.cpp packed_kv_reference.cpp
    paged_kv_reference.cpp)
set(KVSIM_KERNEL_CHECK_SOURCES
    check/cases.cpp check/check_attention.cpp check/check_bytes.cpp check/check_copy_paths.cpp
    check/check_elementwise.cpp check/check_kernels.cpp check/check_packed_kv.cpp
    check/check_numbers.cpp check/check_paged_kv.cpp)
# Of gpu_probe, what also runs on the emulation, and the rest.
set(KVSIM_PROBE_SOURCES
    bench/arguments.cpp bench/json.cpp bench/measure.cpp bench/output_file.cpp bench/shapes.cpp
    probe/copies.cpp probe/gathers.cpp probe/layers.cpp probe/serve.cpp probe/session.cpp)
set(KVSIM_PROBE_CUDA_SOURCES probe/gemm.cpp probe/main.cpp probe/nvml.cpp probe/peers.cpp)

# kvsim_emulated_kernels_check(NAME): an executable that checks the host code and, on an emulation
# of CUDA on the CPU, the kernels themselves. Compiles the .cu files as C++ (in the caller's folder).
function(kvsim_emulated_kernels_check name)
  set(folder ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
  set(sources ${KVSIM_KERNEL_CUDA_SOURCES} ${KVSIM_KERNEL_HOST_SOURCES}
      ${KVSIM_KERNEL_CHECK_SOURCES} ${KVSIM_PROBE_SOURCES} check/check_bench.cpp
      check/check_probe.cpp check/main.cpp emulated/cuda_runtime.cpp)
  list(TRANSFORM sources PREPEND ${folder}/)
  add_executable(${name} ${sources})
  foreach(source ${KVSIM_KERNEL_CUDA_SOURCES})
    set_source_files_properties(${folder}/${source} PROPERTIES LANGUAGE CXX)
  endforeach()
  target_compile_definitions(${name} PRIVATE KVSIM_EMULATED)
  target_compile_options(${name} PRIVATE -Wno-unknown-pragmas -O1)
  target_include_directories(${name} PRIVATE ${folder}/..)
endfunction()

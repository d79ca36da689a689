using System.Runtime.InteropServices;
using TokenMill.Shared.Llama.Native;

namespace TokenMill.Serving.Llama.Native;

/// <summary>
/// The part of llama.h v0.5.0 and ggml-backend.h v0.25.1 that an engine needs; functions keep their C names.
/// See github.com/ggml-org/llama.cpp, include/llama.h and ggml/include. What they assert ends the process: arguments are checked before.
/// </summary>
internal static unsafe partial class EngineNative
{
    [LibraryImport("llama")]
    internal static partial void llama_backend_init();

    [LibraryImport("llama")]
    internal static partial int llama_model_n_ctx_train(LlamaModelHandle model);

    [LibraryImport("llama")]
    internal static partial int llama_model_n_swa(LlamaModelHandle model);

    [LibraryImport("llama")]
    internal static partial int llama_model_n_embd_out(LlamaModelHandle model);

    [LibraryImport("llama")]
    [return: MarshalAs(UnmanagedType.U1)]
    internal static partial bool llama_model_is_recurrent(LlamaModelHandle model);

    [LibraryImport("llama")]
    [return: MarshalAs(UnmanagedType.U1)]
    internal static partial bool llama_model_is_hybrid(LlamaModelHandle model);

    [LibraryImport("llama")]
    internal static partial LlamaContextParams llama_context_default_params();

    [LibraryImport("llama")]
    internal static partial nint llama_init_from_model(LlamaModelHandle model, LlamaContextParams parameters);

    [LibraryImport("llama")]
    internal static partial void llama_free(nint context);

    [LibraryImport("llama")]
    internal static partial uint llama_n_ctx(LlamaContextHandle context);

    [LibraryImport("llama")]
    internal static partial void llama_set_n_threads(LlamaContextHandle context, int n_threads, int n_threads_batch);

    [LibraryImport("llama")]
    internal static partial void llama_attach_threadpool(LlamaContextHandle context, nint threadpool, nint threadpool_batch);

    [LibraryImport("llama")]
    internal static partial LlamaBatch llama_batch_init(int n_tokens, int embd, int n_seq_max);

    [LibraryImport("llama")]
    internal static partial void llama_batch_free(LlamaBatch batch);

    /// <summary>0 computed; 1 no room (nothing changed); 2 aborted; negative: a broken batch or worse.</summary>
    [LibraryImport("llama")]
    internal static partial int llama_decode(LlamaContextHandle context, LlamaBatch batch);

    /// <summary>Valid until the next decode; <paramref name="i"/> counts the tokens of the batch.</summary>
    [LibraryImport("llama")]
    internal static partial float* llama_get_logits_ith(LlamaContextHandle context, int i);

    /// <summary>The pooled embedding of a sequence of the last batch; null where the context does not pool.</summary>
    [LibraryImport("llama")]
    internal static partial float* llama_get_embeddings_seq(LlamaContextHandle context, int seq_id);

    /// <summary>Null for encoders, which keep nothing.</summary>
    [LibraryImport("llama")]
    internal static partial nint llama_get_memory(LlamaContextHandle context);

    [LibraryImport("llama")]
    [return: MarshalAs(UnmanagedType.U1)]
    internal static partial bool llama_memory_seq_rm(nint memory, int seq_id, int p0, int p1);

    [LibraryImport("llama")]
    internal static partial void llama_memory_clear(nint memory, [MarshalAs(UnmanagedType.U1)] bool data);

    [LibraryImport("llama")]
    internal static partial void llama_memory_seq_cp(nint memory, int seq_id_src, int seq_id_dst, int p0, int p1);

    [LibraryImport("llama")]
    internal static partial int llama_memory_seq_pos_max(nint memory, int seq_id);

    [LibraryImport("llama")]
    internal static partial int llama_memory_seq_pos_min(nint memory, int seq_id);

    [LibraryImport("llama")]
    internal static partial nuint llama_state_seq_get_size(LlamaContextHandle context, int seq_id);

    /// <summary>Bytes written; 0: failed.</summary>
    [LibraryImport("llama")]
    internal static partial nuint llama_state_seq_get_data(LlamaContextHandle context, byte* dst, nuint size, int seq_id);

    /// <summary>Bytes read; 0: failed, and the sequence is empty.</summary>
    [LibraryImport("llama")]
    internal static partial nuint llama_state_seq_set_data(LlamaContextHandle context, byte* src, nuint size, int dest_seq_id);

    [LibraryImport("llama", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint llama_adapter_lora_init(LlamaModelHandle model, string path_lora);

    [LibraryImport("llama")]
    internal static partial void llama_adapter_lora_free(nint adapter);

    /// <summary>Replaces the adapters of the whole context.</summary>
    [LibraryImport("llama")]
    internal static partial int llama_set_adapters_lora(LlamaContextHandle context, nint* adapters, nuint n_adapters, float* scales);

    [LibraryImport("ggml", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint ggml_backend_load(string path);

    [LibraryImport("ggml")]
    internal static partial nint ggml_backend_dev_by_type(int type);

    [LibraryImport("ggml-base")]
    internal static partial nint ggml_backend_dev_backend_reg(nint device);

    [LibraryImport("ggml-base", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint ggml_backend_reg_get_proc_address(nint reg, string name);

    [LibraryImport("ggml-base")]
    internal static partial GgmlThreadpoolParams ggml_threadpool_params_default(int n_threads);
}

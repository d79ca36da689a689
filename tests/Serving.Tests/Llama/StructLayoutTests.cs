using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TokenMill.Serving.Llama;
using TokenMill.Serving.Llama.Native;
using TokenMill.Shared.Llama.Native;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Llama;

/// <summary>Sizes and offsets of llama.h v0.5.0 on x86-64, and the library's own defaults read back through them.</summary>
public sealed class StructLayoutTests
{
    [Fact]
    public void ModelParams_LieWhereTheHeaderPutsThem()
    {
        Assert.Equal(80, Unsafe.SizeOf<LlamaModelParams>());
        AssertOffsets<LlamaModelParams>(("n_gpu_layers", 16), ("load_mode", 24), ("lazy_mode", 28), ("main_gpu", 32), ("tensor_split", 40), ("progress_callback", 48),
            ("progress_callback_user_data", 56), ("kv_overrides", 64), ("vocab_only", 72), ("check_tensors", 73), ("use_extra_bufts", 74), ("load_mtp", 77));
    }

    [Fact]
    public void ContextParams_LieWhereTheHeaderPutsThem()
    {
        Assert.Equal(160, Unsafe.SizeOf<LlamaContextParams>());
        AssertOffsets<LlamaContextParams>(("n_batch", 4), ("n_seq_max", 12), ("n_outputs_max", 20), ("n_threads", 28), ("flash_attn_type", 52), ("rope_freq_base", 56), ("yarn_orig_ctx", 80),
            ("cb_eval", 88), ("type_k", 104), ("type_v", 108), ("abort_callback", 112), ("embeddings", 128), ("no_perf", 130), ("swa_full", 132), ("kv_unified", 133), ("samplers", 136), ("ctx_other", 152));
    }

    [Fact]
    public void BatchAndThreadpool_LieWhereTheHeaderPutsThem()
    {
        Assert.Equal(56, Unsafe.SizeOf<LlamaBatch>());
        AssertOffsets<LlamaBatch>(("token", 8), ("pos", 24), ("n_seq_id", 32), ("seq_id", 40), ("logits", 48));
        Assert.Equal(528, Unsafe.SizeOf<GgmlThreadpoolParams>());
        AssertOffsets<GgmlThreadpoolParams>(("n_threads", 512), ("prio", 516), ("poll", 520), ("strict_cpu", 524), ("paused", 525));
    }

    [Fact]
    public void Defaults_ReadBack()
    {
        Models.Load(Models.Family("llama-tied")).Dispose();    // loads the library
        var model = LlamaModelHandle.DefaultParameters;
        Assert.Equal((-1, 1, -1, 1, (byte)0, (byte)1), (model.n_gpu_layers, model.split_mode, model.load_mode, model.lazy_mode, model.vocab_only, model.use_extra_bufts));
        var context = EngineNative.llama_context_default_params();
        Assert.Equal((512u, 2048u, 512u, 1u, 1u), (context.n_ctx, context.n_batch, context.n_ubatch, context.n_seq_max, context.n_outputs_max_per_seq));
        Assert.Equal((4, -1, 1, 1), (context.n_threads_batch, context.flash_attn_type, context.type_k, context.type_v));
        Assert.Equal((1, 1, 1, 0), (context.offload_kqv, context.no_perf, context.swa_full, context.kv_unified));
        var pool = EngineNative.ggml_threadpool_params_default(3);
        Assert.Equal((3, 0), (pool.n_threads, pool.paused));
    }

    private static void AssertOffsets<T>(params (string Field, int Offset)[] fields) =>
        Assert.All(fields, field => Assert.Equal(field.Offset, (int)Marshal.OffsetOf<T>(field.Field)));
}

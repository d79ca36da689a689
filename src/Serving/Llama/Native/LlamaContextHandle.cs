using System.Runtime.InteropServices;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;
using TokenMill.Shared.Llama.Native;

namespace TokenMill.Serving.Llama.Native;

/// <summary>Owns a llama_context*. Holds its model, which must outlive it.</summary>
internal sealed class LlamaContextHandle : SafeHandle
{
    private static int _live;
    private readonly LlamaModelHandle _model;

    private LlamaContextHandle(LlamaModelHandle model) : base(0, ownsHandle: true)
    {
        _model = model;
        var held = false;
        model.DangerousAddRef(ref held);
    }

    public static int Live => _live;

    public override bool IsInvalid => handle == 0;

    public static LlamaContextHandle Create(LlamaModelHandle model, in LlamaContextParams parameters)
    {
        LlamaLog.Clear();
        var context = new LlamaContextHandle(model);
        context.SetHandle(EngineNative.llama_init_from_model(model, parameters));
        Interlocked.Increment(ref _live);
        if (!context.IsInvalid) return context;
        context.ReleaseHandle();
        throw new RefusedException("context-rejected", $"llama.cpp made no context of {parameters.n_ctx} tokens: {LlamaLog.Errors()}", "try a smaller --context or another --kv-type");
    }

    protected override bool ReleaseHandle()
    {
        if (!IsInvalid) EngineNative.llama_free(handle);
        _model.DangerousRelease();
        Interlocked.Decrement(ref _live);
        return true;
    }
}

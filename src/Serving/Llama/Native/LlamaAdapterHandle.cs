using System.Runtime.InteropServices;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;
using TokenMill.Shared.Llama.Native;

namespace TokenMill.Serving.Llama.Native;

/// <summary>Owns a llama_adapter_lora*. Holds its model, which must outlive it.</summary>
internal sealed class LlamaAdapterHandle : SafeHandle
{
    private static int _live;
    private readonly LlamaModelHandle _model;

    private LlamaAdapterHandle(LlamaModelHandle model) : base(0, ownsHandle: true)
    {
        _model = model;
        var held = false;
        model.DangerousAddRef(ref held);
    }

    public static int Live => _live;

    public override bool IsInvalid => handle == 0;

    public static LlamaAdapterHandle Load(LlamaModelHandle model, string path)
    {
        LlamaLog.Clear();
        var adapter = new LlamaAdapterHandle(model);
        adapter.SetHandle(EngineNative.llama_adapter_lora_init(model, path));
        Interlocked.Increment(ref _live);
        if (!adapter.IsInvalid) return adapter;
        adapter.ReleaseHandle();
        throw new RefusedException("adapter-rejected", $"llama.cpp does not take the adapter {Path.GetFileName(path)}: {LlamaLog.Errors()}", "export it again for this base model");
    }

    protected override bool ReleaseHandle()
    {
        if (!IsInvalid) EngineNative.llama_adapter_lora_free(handle);
        _model.DangerousRelease();
        Interlocked.Decrement(ref _live);
        return true;
    }
}

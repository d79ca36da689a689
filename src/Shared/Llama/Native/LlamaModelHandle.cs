using System.Runtime.InteropServices;

namespace TokenMill.Shared.Llama.Native;

/// <summary>Owns a llama_model*, whole or vocabulary only.</summary>
public sealed class LlamaModelHandle : SafeHandle
{
    private static int _live;

    public LlamaModelHandle() : base(0, ownsHandle: true) { }

    /// <summary>Models not freed yet in this process.</summary>
    public static int Live => _live;

    public override bool IsInvalid => handle == 0;

    /// <summary>Loads a file that <see cref="Formats"/> has checked: libllama itself trusts it.</summary>
    public static LlamaModelHandle Load(string path, in LlamaModelParams parameters)
    {
        var model = new LlamaModelHandle();
        LlamaLog.Clear();
        model.SetHandle(LlamaNative.llama_model_load_from_file(path, parameters));
        if (!model.IsInvalid) Interlocked.Increment(ref _live);
        return model;
    }

    protected override bool ReleaseHandle()
    {
        LlamaNative.llama_model_free(handle);
        Interlocked.Decrement(ref _live);
        return true;
    }
}

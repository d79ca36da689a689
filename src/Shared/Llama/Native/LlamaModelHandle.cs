using System.Runtime.InteropServices;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Llama.Native;

/// <summary>Owns a llama_model*, whole or vocabulary only.</summary>
public sealed class LlamaModelHandle : SafeHandle
{
    private static int _live;

    public LlamaModelHandle() : base(0, ownsHandle: true) { }

    /// <summary>Models not freed yet in this process.</summary>
    public static int Live => _live;

    /// <summary>libllama's defaults.</summary>
    public static LlamaModelParams DefaultParameters => LlamaNative.llama_model_default_params();

    public override bool IsInvalid => handle == 0;

    /// <summary>Loads a file that <see cref="Formats.Gguf.GgufModel.Check"/> has passed: libllama itself trusts it.</summary>
    /// <exception cref="RefusedException">model-rejected, with llama.cpp's own reason.</exception>
    public static LlamaModelHandle Load(string path, in LlamaModelParams parameters)
    {
        var model = new LlamaModelHandle();
        LlamaLog.Clear();
        model.SetHandle(LlamaNative.llama_model_load_from_file(path, parameters));
        if (model.IsInvalid)
        {
            model.Dispose();
            throw new RefusedException("model-rejected", $"llama.cpp {LlamaLibrary.Version} does not take {Path.GetFileName(path)}: {LlamaLog.Errors()}", "convert the model again with a current converter");
        }
        Interlocked.Increment(ref _live);
        return model;
    }

    protected override bool ReleaseHandle()
    {
        LlamaNative.llama_model_free(handle);
        Interlocked.Decrement(ref _live);
        return true;
    }
}

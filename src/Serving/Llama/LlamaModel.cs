using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TokenMill.Serving.Llama.Native;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;
using TokenMill.Shared.Llama.Native;

namespace TokenMill.Serving.Llama;

/// <summary>A whole model in memory (the weights mapped from the file) and what is known of it. Checked by our own parser before libllama reads it.</summary>
internal sealed class LlamaModel : IDisposable
{
    private LlamaModel(string path, LlamaModelHandle handle, GgufFile file)
    {
        Path = path;
        Handle = handle;
        File = file;
        Vocabulary = LlamaVocabulary.Of(handle);
        TrainedContext = EngineNative.llama_model_n_ctx_train(handle);
        EmbeddingLength = EngineNative.llama_model_n_embd_out(handle);
        HasSlidingWindow = EngineNative.llama_model_n_swa(handle) > 0;
        IsRecurrent = EngineNative.llama_model_is_recurrent(handle) || EngineNative.llama_model_is_hybrid(handle);
    }

    public string Path { get; }

    /// <summary>What clients call it.</summary>
    public string Name => System.IO.Path.GetFileNameWithoutExtension(Path);
    public LlamaModelHandle Handle { get; }

    /// <summary>The checked file; the weights stay mapped, not read.</summary>
    public GgufFile File { get; }
    public LlamaVocabulary Vocabulary { get; }

    /// <summary>Tokens of the longest text the model was trained on.</summary>
    public int TrainedContext { get; }

    /// <summary>Numbers of an embedding.</summary>
    public int EmbeddingLength { get; }

    /// <summary>It gives vectors for texts, and writes none.</summary>
    public bool Embeds { get; private init; }

    /// <summary>State instead of keys and values: sequences can be neither forked nor cut.</summary>
    public bool IsRecurrent { get; }

    /// <summary>Some layers see only so many tokens back, and have a cache of their own.</summary>
    public bool HasSlidingWindow { get; }

    /// <summary>All weights in single precision, as models for comparison have them.</summary>
    public bool IsSinglePrecision => File.Tensors.All(t => t.Type == GgufType.F32);

    /// <summary>Numbers stored per token: keys and values of all layers.</summary>
    public long KeyValueNumbersPerToken
    {
        get
        {
            var architecture = File.Metadata.String("general.architecture");
            var layers = Number("block_count") ?? 1;
            var heads = Math.Max(1, Number("attention.head_count") ?? 1);
            var keyHeads = Number("attention.head_count_kv") ?? heads;
            var headLength = Number("attention.key_length") ?? (Number("embedding_length") ?? 1) / heads;
            return Math.Max(1, 2 * layers * keyHeads * headLength);

            long? Number(string name)
            {
                var key = $"{architecture}.{name}";
                return File.Metadata.IsArray(key) ? File.Metadata.TryInt32s(key)!.Max() : File.Metadata.TryUInt32(key);
            }
        }
    }

    /// <exception cref="RefusedException">The file is broken, hostile, not servable, or libllama does not take it.</exception>
    public static unsafe LlamaModel Load(string path, Action<float>? progress = null)
    {
        ModelPath.Require(path);
        var file = GgufFile.Open(path);
        try
        {
            var model = GgufModel.Check(file);
            var servable = model.Servable;
            if (!servable.Yes && !model.Embeds) throw new RefusedException("not-servable", $"{System.IO.Path.GetFileName(path)} cannot be served: {servable.Why}", "choose a model that writes text or gives embeddings");
            CpuPlugin.Load();
            var parameters = LlamaModelHandle.DefaultParameters;
            var callback = GCHandle.Alloc(progress);
            try
            {
                if (progress is not null)
                {
                    parameters.progress_callback = (nint)(delegate* unmanaged[Cdecl]<float, nint, byte>)&OnProgress;
                    parameters.progress_callback_user_data = GCHandle.ToIntPtr(callback);
                }
                return new LlamaModel(path, LlamaModelHandle.Load(path, parameters), file) { Embeds = model.Embeds };
            }
            finally
            {
                callback.Free();
            }
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        Vocabulary.Dispose();
        Handle.Dispose();
        File.Dispose();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte OnProgress(float progress, nint userData)
    {
        (GCHandle.FromIntPtr(userData).Target as Action<float>)?.Invoke(progress);
        return 1;
    }
}

using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Llama;
using TokenMill.Training.Models;

namespace TokenMill.Training.Export;

/// <summary>Writes models as GGUF: metadata of the base (tokenizer with its token types, chat template, licence) as it is, tensors in one element type.</summary>
public static class GgufModelFile
{
    /// <summary>Element types that are written here, with ggml's number for a file of that type.</summary>
    private static readonly Dictionary<GgufType, uint> FileTypes = new() { [GgufType.F32] = 0, [GgufType.F16] = 1, [GgufType.Q8_0] = 7, [GgufType.BF16] = 32 };

    public static bool CanWrite(GgufType type) => FileTypes.ContainsKey(type);

    /// <summary>In a type that llama.cpp quantises to, by way of an F32 file beside the target.</summary>
    public static void WriteQuantized(string path, GgufFile model, IReadOnlyList<ModelTensor> tensors, string type)
    {
        var (exact, quantized) = ($"{path}.{Guid.NewGuid():N}.f32.tmp", $"{path}.{Guid.NewGuid():N}.tmp");
        try
        {
            Write(exact, model, tensors, GgufType.F32);
            LlamaQuantization.Quantize(exact, quantized, type, Environment.ProcessorCount);
            File.Move(quantized, path, overwrite: true);
        }
        finally
        {
            File.Delete(exact);
            File.Delete(quantized);
        }
    }

    /// <param name="type">Of the matrices; vectors are F32, and rows that Q8_0's blocks do not divide are F16.</param>
    public static void Write(string path, GgufFile model, IReadOnlyList<ModelTensor> tensors, GgufType type)
    {
        _ = new TensorOrder(model);                          // refuses architectures whose tensors may not all change their type
        var writer = new GgufWriter();
        writer.CopyPairs(model.Metadata);
        Write(path, writer, tensors, type);
    }

    /// <summary>A model whose pairs the writer holds already. Without a type each matrix keeps its own precision.</summary>
    internal static void WriteNew(string path, GgufWriter writer, IReadOnlyList<ModelTensor> tensors, GgufType? type) => Write(path, writer, tensors, type);

    /// <summary>A model trained from random weights, with the tokenizer (and chat template) of another file.</summary>
    public static void WriteNew(string path, ModelConfig config, GgufMetadata tokenizer, string name, string? licence, IReadOnlyList<ModelTensor> tensors, GgufType type)
    {
        var architecture = config.Family.Architecture;
        var writer = new GgufWriter();
        writer.Add("general.architecture", architecture);
        writer.Add("general.type", "model");
        writer.Add("general.name", GeneralName.Neutral(name));
        if (licence is not null) writer.Add("general.license", licence);
        void Number(string key, int value) => writer.Add($"{architecture}.{key}", (uint)value);
        Number("block_count", config.Layers);
        Number("context_length", config.ContextLength);
        Number("embedding_length", config.HiddenSize);
        Number("feed_forward_length", config.IntermediateSize);
        Number("attention.head_count", config.Heads);
        Number("attention.head_count_kv", config.KeyValueHeads);
        Number("attention.key_length", config.HeadDim);
        Number("attention.value_length", config.HeadDim);
        Number("rope.dimension_count", config.HeadDim);
        Number("vocab_size", config.VocabularySize);
        writer.Add($"{architecture}.rope.freq_base", (float)config.Rotary.Base);
        writer.Add($"{architecture}.attention.layer_norm_rms_epsilon", config.NormEpsilon);
        writer.CopyPairs(tokenizer, key => key.StartsWith("tokenizer.", StringComparison.Ordinal));
        PadVocabulary(writer, tokenizer, config.VocabularySize);
        Write(path, writer, tensors, type);
    }

    private static void Write(string path, GgufWriter writer, IReadOnlyList<ModelTensor> tensors, GgufType? type)
    {
        var most = type ?? tensors.Where(t => t.IsMatrix).GroupBy(t => t.Precision).MaxBy(g => g.Count())?.Key ?? GgufType.F32;
        if (!FileTypes.TryGetValue(most, out var fileType))
            throw new RefusedException("type-unsupported", $"models of type {type} are not written here", $"choose {string.Join(", ", FileTypes.Keys)}");
        writer.Add("general.file_type", fileType);
        writer.Add("general.quantization_version", 2u);
        foreach (var tensor in tensors)
        {
            var target = TypeOf(tensor, type ?? tensor.Precision);
            writer.AddTensor(tensor.Name, tensor.Dimensions, target, tensor.Stored is { } stored && stored.Type == target ? stored.Copy : stream => Encode(tensor, target, stream));
        }
        writer.Save(path);
    }

    // As many tokens as embeddings: the rest are placeholders that are never produced.
    private static void PadVocabulary(GgufWriter writer, GgufMetadata tokenizer, int size)
    {
        const int unused = 5;
        var tokens = tokenizer.Strings("tokenizer.ggml.tokens");
        if (tokens.Length == size) return;
        writer.Add("tokenizer.ggml.tokens", [.. tokens, .. Enumerable.Range(tokens.Length, size - tokens.Length).Select(id => $"[PAD{id}]")]);
        var types = tokenizer.TryInt32s("tokenizer.ggml.token_type") ?? [.. Enumerable.Repeat(1, tokens.Length)];
        writer.Add("tokenizer.ggml.token_type", [.. types, .. Enumerable.Repeat(unused, size - types.Length)]);
        if (tokenizer.TryFloat32s("tokenizer.ggml.scores") is { } scores) writer.Add("tokenizer.ggml.scores", [.. scores, .. new float[size - scores.Length]]);
    }

    private static void Encode(ModelTensor tensor, GgufType type, Stream stream)
    {
        var (blockElements, blockBytes) = type.Block();
        var bytes = Array.Empty<byte>();
        tensor.ForEachPiece(values =>
        {
            var size = values.Length / blockElements * blockBytes;
            if (bytes.Length < size) bytes = new byte[size];
            GgufEncoder.Encode(type, values, bytes.AsSpan(0, size));
            stream.Write(bytes, 0, size);
        });
    }

    // The router of a mixture of experts is small and decides much: it stays exact, as llama.cpp's own quantiser keeps it.
    private static GgufType TypeOf(ModelTensor tensor, GgufType type) =>
        !tensor.IsMatrix || tensor.Name.EndsWith(".bias", StringComparison.Ordinal) || tensor.Name.Contains("ffn_gate_inp", StringComparison.Ordinal) ? GgufType.F32
        : tensor.RowLength % type.Block().Elements != 0 ? GgufType.F16
        : type;
}

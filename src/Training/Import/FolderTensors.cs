using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Formats.Safetensors;
using TokenMill.Training.Export;

namespace TokenMill.Training.Import;

/// <summary>The weights of a Hugging Face folder under GGUF's names and in its order of rows. Read one at a time, when they are written.</summary>
internal static class FolderTensors
{
    private const int PieceElements = 1 << 22;

    // Tables that old files keep although the model computes them.
    private static readonly string[] Computed = ["rotary_emb.inv_freq", "attn.masked_bias", "attn.bias"];

    /// <exception cref="RefusedException">tensor-unknown: weights that the family has no place for.</exception>
    public static IReadOnlyList<ModelTensor> Of(HuggingFaceFolder folder, CancellationToken cancellationToken)
    {
        var config = folder.Config;
        var order = new TensorOrder(config.Family, (int)config.Heads, (int)config.KeyValueHeads);
        var wanted = config.Family.Tensors(config).Select(t => t.Name).ToList();
        // A tied head may still be stored: it is the same matrix.
        if (folder.Tensors.FirstOrDefault(t => !wanted.Contains(t.Name) && !(config.TiedEmbeddings && t.Name == "lm_head.weight") && !Computed.Any(end => t.Name.EndsWith(end, StringComparison.Ordinal))) is { } foreign)
            throw new RefusedException(new Error("tensor-unknown", $"{foreign.Name} has no place in a {config.Family.ModelType} model", "the model is of another kind than its config.json says, or changed: take the original") { Field = foreign.Name });

        var tensors = wanted.ConvertAll(name => Convert(folder, folder.Find(name)!, config.Family.ToGguf(name)!, order, cancellationToken));
        if (config.TiedEmbeddings && config.Family.HasOwnHead) tensors.Add(Convert(folder, folder.Find("model.embed_tokens.weight")!, "output.weight", order, cancellationToken));
        return tensors;
    }

    private static ModelTensor Convert(HuggingFaceFolder folder, SafetensorsTensor tensor, string name, TensorOrder order, CancellationToken cancellationToken)
    {
        var stored = tensor.Type switch { SafetensorsType.F16 => GgufType.F16, SafetensorsType.BF16 => GgufType.BF16, _ => GgufType.F32 };
        var rowLength = tensor.Shape[^1];
        var changes = order.IsPermuted(name) || order.AddsOne(name);
        return new ModelTensor(name, [.. tensor.Shape.Reverse()], sink =>
        {
            // Rows that change their places need the whole tensor; they are those of q and k, which are not the largest.
            var piece = order.IsPermuted(name) ? tensor.Elements : Math.Min(tensor.Elements, Math.Max(1, PieceElements / rowLength) * rowLength);
            var buffer = new float[piece];
            for (var first = 0L; first < tensor.Elements; first += piece)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var values = buffer.AsSpan(0, (int)Math.Min(piece, tensor.Elements - first));
                folder.ReadFloats(tensor, first, values);
                order.ToGguf(name, values, tensor.Shape.Count > 1 ? (int)rowLength : 1);
                if (order.AddsOne(name)) foreach (ref var value in values) value += 1;
                sink(values);
            }
        })
        {
            Precision = stored,
            Stored = changes ? null : (stored, stream =>
            {
                cancellationToken.ThrowIfCancellationRequested();
                folder.CopyTo(tensor, stream);
            }),
        };
    }
}

using System.Numerics.Tensors;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Training.Lora;
using TokenMill.Training.Models;

namespace TokenMill.Training.Export;

/// <summary>Where the tensors of an exported model come from.</summary>
public static class ModelTensors
{
    private const int PieceElements = 1 << 22;

    /// <summary>A model with an adapter folded in: W + scale·(B·A) in fp32. A tied head stays tied, since the shared matrix carries no adapter.</summary>
    public static IReadOnlyList<ModelTensor> Merge(GgufFile model, AdapterWeights? adapter)
    {
        var order = adapter is null ? null : new TensorOrder(model);
        var adapted = (adapter?.Modules ?? []).ToDictionary(m => order!.Family.ToGguf(m.Module + ".weight")!);
        var saved = (adapter?.Saved ?? []).ToDictionary(w => order!.Family.ToGguf(w.Name)!);
        if (adapted.Keys.FirstOrDefault(k => k == "token_embd.weight" || model.Find(k) is null) is { } impossible)
            throw new RefusedException("adapter-base-mismatch", $"an adapter on {impossible} cannot be merged into this model", "leave embeddings, and a head tied to them, out of the adapter's targets");
        return [.. model.Tensors.Select(tensor => adapted.TryGetValue(tensor.Name, out var lora)
            ? new ModelTensor(tensor.Name, tensor.Dimensions, sink => ReadMerged(model, tensor, lora, adapter!, order!, sink))
            : saved.TryGetValue(tensor.Name, out var weight) ? Trained(tensor.Name, weight, order!.ToGguf)
            : Unchanged(model, tensor))];
    }

    /// <summary>A model whose weights were all trained; what is no weight (factors of RoPE) stays the file's.</summary>
    public static IReadOnlyList<ModelTensor> Replace(GgufFile model, IEnumerable<TrainedWeight> weights)
    {
        var order = new TensorOrder(model);
        var trained = weights.ToDictionary(w => order.Family.ToGguf(w.Name)!);
        return [.. model.Tensors.Select(tensor => trained.TryGetValue(tensor.Name, out var weight) ? Trained(tensor.Name, weight, order.ToGguf) : Unchanged(model, tensor))];
    }

    /// <summary>A model that was trained from random weights.</summary>
    public static IReadOnlyList<ModelTensor> Create(ModelConfig config, IEnumerable<TrainedWeight> weights)
    {
        var order = new TensorOrder(config.Family, config.Heads, config.KeyValueHeads);
        return [.. weights.Select(weight => Trained(order.Family.ToGguf(weight.Name)!, weight, order.ToGguf))];
    }

    private static ModelTensor Trained(string name, TrainedWeight weight, Reorder toGguf) => new(name, [.. weight.Shape.Reverse().Select(d => (long)d)], sink =>
    {
        var values = weight.Read();
        toGguf(name, values, weight.Shape.Length > 1 ? weight.Shape[^1] : 1);
        sink(values);
    });

    private delegate void Reorder(string ggufName, Span<float> rows, int width);

    private static ModelTensor Unchanged(GgufFile model, GgufTensor tensor) =>
        new(tensor.Name, tensor.Dimensions, sink => ForEachRows(model, tensor, (_, rows) => sink(rows)))
    {
        Stored = (tensor.Type, stream => model.CopyTo(tensor, stream)),
    };

    private static void ReadMerged(GgufFile model, GgufTensor tensor, LoraWeights lora, AdapterWeights adapter, TensorOrder order, ValueSink sink)
    {
        var (rank, width) = (lora.Rank, lora.Inputs);
        var scale = (float)adapter.Config.ScaleOf(lora.Module);
        var b = lora.B.ToArray();                                                // (outputs, rank)
        order.ToGguf(tensor.Name, b, rank);
        var magnitude = lora.Magnitude?.ToArray();
        if (magnitude is not null) order.ToGguf(tensor.Name, magnitude, 1);

        var change = new float[width];
        ForEachRows(model, tensor, (firstRow, rows) =>
        {
            for (var i = 0; i < rows.Length / width; i++)
            {
                var row = rows.Slice(i * width, width);
                var output = (int)firstRow + i;
                Array.Clear(change);
                for (var r = 0; r < rank; r++) TensorPrimitives.MultiplyAdd(lora.A.AsSpan(r * width, width), b[output * rank + r], change, change);
                TensorPrimitives.MultiplyAdd(change, scale, row, row);
                if (magnitude is not null) TensorPrimitives.Multiply(row, magnitude[output] / TensorPrimitives.Norm(row), row);
            }
            sink(rows);
        });
    }

    private delegate void RowSink(long firstRow, Span<float> rows);

    private static void ForEachRows(GgufFile model, GgufTensor tensor, RowSink use)
    {
        var rowsAtOnce = Math.Clamp(PieceElements / tensor.RowLength, 1, tensor.Rows);
        var buffer = new float[rowsAtOnce * tensor.RowLength];
        for (var first = 0L; first < tensor.Rows; first += rowsAtOnce)
        {
            var rows = buffer.AsSpan(0, (int)(Math.Min(rowsAtOnce, tensor.Rows - first) * tensor.RowLength));
            model.ReadFloats(tensor, rows, first);
            use(first, rows);
        }
    }
}

using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Formats.Safetensors;

namespace TokenMill.Training.Export;

/// <summary>Writes a model as a Hugging Face folder: config, weights in safetensors (in shards when large), tokenizer, chat template.</summary>
public static class HuggingFaceModel
{
    private const long MaxShardBytes = 5L << 30;

    private static readonly Dictionary<GgufType, SafetensorsType> Types = new() { [GgufType.F32] = SafetensorsType.F32, [GgufType.F16] = SafetensorsType.F16, [GgufType.BF16] = SafetensorsType.BF16 };

    /// <exception cref="RefusedException">The model has something that the layout cannot say; nothing is written then.</exception>
    public static void Write(string folder, GgufFile model, IReadOnlyList<ModelTensor> tensors, GgufType type)
    {
        if (!Types.TryGetValue(type, out var weightType))
            throw new RefusedException("type-unsupported", $"Hugging Face folders hold no weights of type {type}", "choose F32, F16 or BF16");
        var order = new TensorOrder(model);
        var config = HuggingFaceConfigJson.Build(model, order.Family, weightType);
        var tokenizer = TokenizerJson.Build(model.Metadata);
        string Name(ModelTensor tensor) => order.Family.FromGguf(tensor.Name)
            ?? throw new RefusedException("tensor-unsupported", $"{tensor.Name} has no place in the layout of {order.Family.ModelType}", "export as gguf");
        var named = tensors.Where(t => !t.Name.StartsWith("rope_f", StringComparison.Ordinal)).Select(t => (Name: Name(t), Tensor: t)).ToList();

        Directory.CreateDirectory(folder);
        WriteWeights(folder, named, order, type, weightType);
        WriteJson(folder, "config.json", config);
        WriteJson(folder, "generation_config.json", Generation(config, TokenizerJson.EndIds(model.Metadata)));
        WriteJson(folder, "tokenizer.json", tokenizer);
        WriteJson(folder, "tokenizer_config.json", TokenizerJson.BuildConfig(model.Metadata, model.Metadata.UInt32($"{order.Family.Architecture}.context_length")));
    }

    // transformers stops where libllama does.
    private static JsonObject Generation(JsonObject config, IReadOnlyList<int> ends)
    {
        var generation = new JsonObject(config.Where(p => p.Key.EndsWith("_token_id", StringComparison.Ordinal)).Select(p => KeyValuePair.Create(p.Key, p.Value?.DeepClone())));
        if (ends.Count > 1) generation["eos_token_id"] = new JsonArray([.. ends.Select(id => (JsonNode)id)]);
        return generation;
    }

    private static void WriteWeights(string folder, List<(string Name, ModelTensor Tensor)> tensors, TensorOrder order, GgufType type, SafetensorsType weightType)
    {
        List<SafetensorsWriter> shards = [new()];
        var shardOf = new Dictionary<string, int>();
        foreach (var (name, tensor) in tensors)
        {
            var bytes = tensor.Dimensions.Aggregate((long)weightType.SizeBytes(), (product, d) => product * d);
            if (shards[^1].DataBytes > 0 && shards[^1].DataBytes + bytes > MaxShardBytes) shards.Add(new SafetensorsWriter());
            shards[^1].Add(name, [.. tensor.Dimensions.Reverse()], weightType, stream => Encode(tensor, order, type, stream));
            shardOf[name] = shards.Count;
        }
        if (shards.Count == 1)
        {
            shards[0].Save(Path.Combine(folder, "model.safetensors"));
            return;
        }
        string FileName(int shard) => string.Create(CultureInfo.InvariantCulture, $"model-{shard:D5}-of-{shards.Count:D5}.safetensors");
        for (var shard = 1; shard <= shards.Count; shard++) shards[shard - 1].Save(Path.Combine(folder, FileName(shard)));
        WriteJson(folder, "model.safetensors.index.json", new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = shards.Sum(s => s.DataBytes) },
            ["weight_map"] = new JsonObject(shardOf.Select(s => KeyValuePair.Create(s.Key, (JsonNode?)FileName(s.Value)))),
        });
    }

    private static void Encode(ModelTensor tensor, TensorOrder order, GgufType type, Stream stream)
    {
        var size = type.Block().Bytes;
        if (order.IsPermuted(tensor.Name))
        {
            var values = tensor.ReadAll();
            order.ToHuggingFace(tensor.Name, values, tensor.IsMatrix ? (int)tensor.RowLength : 1);
            Put(values);
        }
        else
            tensor.ForEachPiece(piece =>
            {
                if (!order.AddsOne(tensor.Name)) Put(piece);
                else Put([.. piece.ToArray().Select(v => v - 1)]);
            });

        void Put(ReadOnlySpan<float> values)
        {
            var bytes = new byte[(long)values.Length * size];
            GgufEncoder.Encode(type, values, bytes);
            stream.Write(bytes);
        }
    }

    private static void WriteJson(string folder, string name, JsonObject json) =>
        AtomicFile.Write(Path.Combine(folder, name), stream => stream.Write(Encoding.UTF8.GetBytes(json.ToJsonString(Json.Indented) + "\n")));
}

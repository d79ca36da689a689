using System.Text.Json;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Safetensors;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>
/// A model in Hugging Face's layout: config.json, safetensors (one file, or shards with an index), tokenizer.json.
/// Code beside the model is never run, pickles are never opened.
/// </summary>
public sealed class HuggingFaceFolder : IDisposable
{
    private const string Contradiction = "the model contradicts itself: convert it again from the original";
    private const string Index = "model.safetensors.index.json";

    private readonly Dictionary<string, (SafetensorsFile File, SafetensorsTensor Tensor)> _tensors = [];
    private readonly List<SafetensorsFile> _files = [];

    private HuggingFaceFolder(string path, HuggingFaceConfig config) => (Path, Config) = (path, config);

    public string Path { get; }
    public HuggingFaceConfig Config { get; }
    public IEnumerable<SafetensorsTensor> Tensors => _tensors.Values.Select(t => t.Tensor);
    public IReadOnlyList<ModelFinding> Warnings { get; private set; } = [];

    /// <summary>Tokens of tokenizer.json, the added ones included.</summary>
    public int Vocabulary { get; private set; }
    public string? ChatTemplate { get; private set; }
    public string? Licence { get; private set; }

    public SafetensorsTensor? Find(string name) => _tensors.TryGetValue(name, out var found) ? found.Tensor : null;

    /// <exception cref="RefusedException">The tensor is missing.</exception>
    public float[] ReadFloats(string name) =>
        _tensors.TryGetValue(name, out var found) ? found.File.ReadFloats(found.Tensor) : throw Refuse(name, "safetensors-tensor-missing", $"the tensor {name} is missing", Contradiction);

    /// <summary>Elements of a tensor from <paramref name="first"/> on, as many as <paramref name="target"/> holds.</summary>
    public void ReadFloats(SafetensorsTensor tensor, long first, Span<float> target) => _tensors[tensor.Name].File.ReadFloats(tensor, first, target);

    /// <summary>The tensor's own bytes.</summary>
    public void CopyTo(SafetensorsTensor tensor, Stream target) => _tensors[tensor.Name].File.CopyTo(tensor, target);

    /// <exception cref="RefusedException">The first thing that is wrong, with its field.</exception>
    public static HuggingFaceFolder Open(string path)
    {
        var configPath = System.IO.Path.Combine(path, "config.json");
        if (!File.Exists(configPath)) throw Refuse("config.json", "config-missing", "no config.json in the folder", "fetch the missing file");
        var json = JsonFile.Read(configPath, "config-invalid", 1 << 20, Contradiction);
        var folder = new HuggingFaceFolder(path, HuggingFaceConfig.Parse(json));
        try
        {
            folder.OpenWeights();
            folder.CheckShapes();
            folder.ReadTexts();
            folder.Warnings = [.. folder.Warn()];
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public void Dispose() => _files.ForEach(f => f.Dispose());

    private void OpenWeights()
    {
        if (File.Exists(InFolder(Index))) OpenShards();
        else if (File.Exists(InFolder("model.safetensors"))) AddFile("model.safetensors");
        else if (Pickles().FirstOrDefault() is { } pickle)
            throw Refuse(pickle, "pickle-only", $"the weights are there as {pickle} only, a pickle, which can run code when it is opened", "convert the model to safetensors first, on a machine you can lose");
        else throw Refuse("model.safetensors", "weights-missing", "a folder without weights", "fetch the weights (model.safetensors, or its shards and their index)");
    }

    private void OpenShards()
    {
        var index = JsonFile.Read(InFolder(Index), "safetensors-index", 32 << 20, Contradiction);
        if (index.ValueKind != JsonValueKind.Object || !index.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
            throw Refuse(Index, "safetensors-index", "the index has no weight_map", Contradiction);
        var shardOf = new Dictionary<string, string>();
        foreach (var entry in map.EnumerateObject())
        {
            var shard = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : "";
            // A shard is a plain file name. Anything else (a path, a drive, "..") could point out of the folder.
            if (!shard.EndsWith(".safetensors", StringComparison.Ordinal) || shard.AsSpan().ContainsAny("/\\:\0") || shard.StartsWith('.'))
                throw Refuse(entry.Name, "safetensors-index-path", $"the index sends {entry.Name} to '{shard}', which is no file name inside the folder", SafetensorsFile.Damaged);
            shardOf.Add(entry.Name, shard);
        }
        foreach (var group in shardOf.GroupBy(s => s.Value).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            if (!File.Exists(InFolder(group.Key)))
                throw Refuse(group.Count() == 1 ? group.First().Key : group.Key, "safetensors-shard-missing", $"the shard {group.Key} is not there", "fetch the missing shard");
            var tensors = AddFile(group.Key);
            if (group.FirstOrDefault(t => tensors.Find(t.Key) is null) is { Key: { } absent })
                throw Refuse(absent, "safetensors-tensor-missing", $"the index sends {absent} to {group.Key}, which does not have it", Contradiction);
        }
    }

    private SafetensorsFile AddFile(string name)
    {
        var file = SafetensorsFile.Open(InFolder(name));
        _files.Add(file);
        foreach (var tensor in file.Tensors)
            if (!_tensors.TryAdd(tensor.Name, (file, tensor))) throw Refuse(tensor.Name, "safetensors-duplicate", $"{tensor.Name} is in two shards", Contradiction);
        return file;
    }

    private void CheckShapes()
    {
        if (Find("model.embed_tokens.weight") is { Shape: [var rows, var width] })
        {
            if (width != Config.HiddenSize)
                throw Refuse("hidden_size", "config-shape", $"hidden_size is {Config.HiddenSize}, embeddings have {width} numbers", Contradiction);
            if (rows != Config.VocabularySize)
                throw Refuse("vocab_size", "config-shape", $"vocab_size is {Config.VocabularySize}, there are {rows} embeddings", Contradiction);
        }
        foreach (var (name, shape) in Config.Family.Tensors(Config))
        {
            if (Find(name) is not { } tensor)
            {
                var layer = name.StartsWith("model.layers.", StringComparison.Ordinal) ? string.Join('.', name.Split('.').Take(3)) + "." : null;
                var noneOfLayer = layer is not null && !_tensors.Keys.Any(k => k.StartsWith(layer, StringComparison.Ordinal));
                throw noneOfLayer
                    ? Refuse("num_hidden_layers", "safetensors-tensor-missing", $"num_hidden_layers is {Config.Layers}, but {layer}… has no tensors", Contradiction)
                    : Refuse(name, "safetensors-tensor-missing", $"the tensor {name} is missing", Contradiction);
            }
            if (!tensor.Has(shape))
                throw Refuse(name, "config-shape", $"{name} is {string.Join(" × ", tensor.Shape)}, config.json asks for {string.Join(" × ", shape)}", Contradiction);
            if (tensor.Type is not (SafetensorsType.F32 or SafetensorsType.F16 or SafetensorsType.BF16))
                throw Refuse(name, "safetensors-dtype", $"{name}: weights of type {tensor.Type} are not supported", "use F32, F16 or BF16");
        }
        foreach (var name in (string[])["bos_token_id", "eos_token_id", "pad_token_id"]) Config.TokenId(name);
    }

    private void ReadTexts()
    {
        var tokenizer = HuggingFaceTokenizer.Read(Path);
        (Vocabulary, ChatTemplate) = (tokenizer.Vocabulary, tokenizer.ChatTemplate);
        if (tokenizer.TextVocabulary > Config.VocabularySize)
            throw Refuse(HuggingFaceTokenizer.FileName, "tokenizer-invalid", $"tokenizer.json reaches token {tokenizer.TextVocabulary - 1}, the model has {Config.VocabularySize} embeddings", Contradiction);
        Licence = ModelCard.Licence(Path);
    }

    private IEnumerable<ModelFinding> Warn()
    {
        if (Config.Json.TryGetProperty("auto_map", out _)) yield return new("auto_map", "remote-code-ignored", "the model brings code of its own; it is not run, the architecture is built in");
        foreach (var pickle in Pickles()) yield return new(pickle, "pickle-ignored", "a pickle beside the safetensors; it is not opened");
        if (string.IsNullOrEmpty(ChatTemplate)) yield return new("chat_template", "chat-template-missing", "no chat template: chat needs one that the user chooses");
    }

    private IEnumerable<string> Pickles() => Directory.EnumerateFiles(Path)
        .Select(file => System.IO.Path.GetFileName(file))
        .Where(name => name.StartsWith("pytorch_model", StringComparison.Ordinal) && name.EndsWith(".bin", StringComparison.Ordinal)
            || System.IO.Path.GetExtension(name) is ".pt" or ".pth" or ".ckpt" or ".pkl")
        .Order(StringComparer.Ordinal);

    private string InFolder(string name) => System.IO.Path.Combine(Path, name);

    private static RefusedException Refuse(string field, string code, string message, string remedy) => new(new Error(code, message, remedy) { Field = field });
}

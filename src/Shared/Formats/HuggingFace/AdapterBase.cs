using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>What an adapter has to know of its base: the linear modules by their Hugging Face names, with columns (in) and rows (out).</summary>
public sealed record AdapterBase(string Name, IReadOnlyDictionary<string, (long In, long Out)> Linears)
{
    public static AdapterBase Of(HuggingFaceFolder folder) => new(
        System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(folder.Path)),
        folder.Tensors.Where(t => t.Shape.Count == 2 && t.Name.EndsWith(".weight", StringComparison.Ordinal)).ToDictionary(t => t.Name[..^".weight".Length], t => (t.Shape[1], t.Shape[0])));

    /// <summary>A model of an architecture without a Hugging Face family has no names here, so no adapter fits.</summary>
    public static AdapterBase Of(GgufFile file)
    {
        var family = ModelFamily.Of(file.Metadata);
        var linears = new Dictionary<string, (long, long)>();
        foreach (var tensor in file.Tensors.Where(t => t.Dimensions.Count == 2))
            if (family?.FromGguf(tensor.Name) is { } name) linears[name[..^".weight".Length]] = (tensor.Dimensions[0], tensor.Dimensions[1]);
        return new(System.IO.Path.GetFileNameWithoutExtension(file.Path), linears);
    }
}

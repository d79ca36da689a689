namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>README.md of a model folder: its front matter names the licence.</summary>
internal static class ModelCard
{
    private const int MaxBytes = 1 << 20;

    public static string? Licence(string folder)
    {
        var path = Path.Combine(folder, "README.md");
        if (!File.Exists(path) || new FileInfo(path).Length > MaxBytes) return null;
        var lines = File.ReadLines(path).Select(line => line.Trim());
        if (lines.FirstOrDefault() != "---") return null;
        const string key = "license:";
        return lines.Skip(1).TakeWhile(line => line != "---").FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal))?[key.Length..].Trim();
    }
}

namespace TokenMill.Web.Nodes;

/// <summary>What a serving process loads. Paths are the platform's own; null leaves the program's default.</summary>
public sealed record ServingOptions(string ModelPath)
{
    /// <summary>Name by which requests select it, and the GGUF adapter or PEFT folder.</summary>
    public IReadOnlyList<(string Name, string Path)> Adapters { get; init; } = [];
    public int? ContextTokens { get; init; }
    public int? Parallel { get; init; }
    public int? Threads { get; init; }

    public IEnumerable<string> Arguments()
    {
        yield return "serve";
        yield return ModelPath;
        yield return "--port";
        yield return "0";
        yield return "--parent-pipe";
        foreach (var (name, path) in Adapters)
        {
            yield return "--adapter";
            yield return $"{name}={path}";
        }
        foreach (var (option, value) in new[] { ("--context", ContextTokens), ("--parallel", Parallel), ("--threads", Threads) })
        {
            if (value is null) continue;
            yield return option;
            yield return $"{value}";
        }
    }
}

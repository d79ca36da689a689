using TokenMill.Shared.CommandLine;

namespace TokenMill.Serving.Host;

/// <summary><c>NAME=PATH</c>: an adapter, and what clients call it.</summary>
internal sealed record NamedAdapter(string Name, string Path)
{
    public static NamedAdapter Parse(string text)
    {
        var at = text.IndexOf('=', StringComparison.Ordinal);
        return at > 0 && at < text.Length - 1 ? new NamedAdapter(text[..at], text[(at + 1)..]) : throw new UsageException($"--adapter is NAME=PATH, not '{text}'");
    }
}

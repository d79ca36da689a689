using System.Text.RegularExpressions;
using System.Xml.Linq;
using TokenMill.Testing;

namespace TokenMill.Shared.Tests;

/// <summary>The rules of docs/ARCHITECTURE.md that a compiler does not check.</summary>
public sealed partial class ArchitectureTests
{
    private static readonly string Source = Path.Combine(Reference.Repository, "src");

    [Theory]
    [InlineData("Shared")]
    [InlineData("Web", "Shared")]
    [InlineData("Training", "Shared")]
    [InlineData("Serving", "Shared")]
    public void Project_References_OnlyWhatTheArchitectureAllows(string project, params string[] allowed)
    {
        var file = XDocument.Load(Path.Combine(Source, project, $"{project}.csproj"));
        var references = file.Descendants("ProjectReference").Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value));
        Assert.Equal(allowed, references.Order());

        var foreign = new[] { "Web", "Training", "Serving" }.Except([project]).ToArray();
        foreach (var (path, text) in Code(project))
            foreach (var other in foreign)
                Assert.False(Regex.IsMatch(text, $@"^\s*(@?using|global using) (static )?TokenMill\.{other}\b", RegexOptions.Multiline), $"{path} uses {other}");
    }

    [Fact]
    public void Web_LoadsNoNativeCode()
    {
        foreach (var (path, text) in Code("Web"))
            Assert.False(NativeUse().IsMatch(text), $"{path} reaches native code; ask a child process instead");
    }

    [Theory]
    [InlineData("Scheduler")]
    [InlineData("PrefixCache")]
    public void Scheduler_KnowsNoNativeType(string folder)
    {
        foreach (var (path, text) in Code(Path.Combine("Serving", folder)))
            Assert.False(text.Contains("Serving.Llama", StringComparison.Ordinal) || text.Contains("Shared.Llama", StringComparison.Ordinal) || NativeUse().IsMatch(text), $"{path} knows llama.cpp");
    }

    [Fact]
    public void Folders_NamedForNothing_DoNotExist()
    {
        string[] banned = ["Core", "Common", "Utils", "Helpers", "Misc"];
        Assert.DoesNotContain(Directory.EnumerateDirectories(Source, "*", SearchOption.AllDirectories), d => banned.Contains(Path.GetFileName(d)));
    }

    private static IEnumerable<(string Path, string Text)> Code(string folder) =>
        Directory.Exists(Path.Combine(Source, folder))
            ? Directory.EnumerateFiles(Path.Combine(Source, folder), "*", SearchOption.AllDirectories)
                .Where(p => p.EndsWith(".cs", StringComparison.Ordinal) || p.EndsWith(".razor", StringComparison.Ordinal))
                .Select(p => (Path.GetRelativePath(Source, p), File.ReadAllText(p)))
            : [];

    [GeneratedRegex(@"LibraryImport|DllImport|NativeLibrary\.|LlamaVocabulary")]
    private static partial Regex NativeUse();
}

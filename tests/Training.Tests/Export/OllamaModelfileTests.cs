using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;
using TokenMill.Training.Export;

namespace TokenMill.Training.Tests.Export;

public sealed class OllamaModelfileTests(ITestOutputHelper output)
{
    [Fact]
    public void Modelfile_OfAChatModel_HasTemplateAndStops()
    {
        using var model = GgufFile.Open(Reference.Locate("models/SmolLM2-135M-Instruct-Q4_1.gguf"));
        Assert.Equal(
            """"
            # Made by TokenMill: ollama create NAME -f Modelfile
            FROM ./model.gguf
            TEMPLATE """{{ range $i, $_ := .Messages }}{{ if eq .Role "system" }}<|im_start|>system
            {{ .Content }}<|im_end|>
            {{ else if eq .Role "user" }}{{ if eq $i 0 }}<|im_start|>system
            You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
            {{ end }}<|im_start|>user
            {{ .Content }}<|im_end|>
            <|im_start|>assistant
            {{ else if eq .Role "assistant" }}{{ .Content }}<|im_end|>
            {{ end }}{{ end }}"""
            PARAMETER stop "<|im_end|>"

            """".ReplaceLineEndings("\n"), OllamaModelfile.Text(model, "model.gguf"));
    }

    /// <summary>Whatever template publishers write: what is said in Ollama's language renders as they do, or it is not said.</summary>
    [Fact]
    public void Templates_OfPublishers_AreSaidRightOrNotAtAll()
    {
        var said = new List<string>();
        foreach (var path in Directory.EnumerateFiles(Reference.Locate("golden/templates"), "*.jinja").Order(StringComparer.Ordinal))
        {
            var template = new ModelChatTemplate(ChatTemplate.Parse(File.ReadAllText(path)), "<s>", "</s>");
            if (OllamaTemplate.Of(template, "<s>") is { } found) said.Add($"{Path.GetFileNameWithoutExtension(path)}: {found.ToString().Length}");
        }
        output.WriteLine(string.Join('\n', said));
        Assert.True(said.Count >= 10);
    }
}

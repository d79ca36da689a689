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

    /// <summary>Gemma's way: what the system says stands at the beginning of the user's first message.</summary>
    [Fact]
    public void Template_WithoutAPlaceForSystemMessages_PutsThemIntoTheFirstOfTheUser()
    {
        const string source = "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}{% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
            + "{% for m in turns %}{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + (first if loop.first else '') + m['content'] + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";
        Assert.Equal(
            "{{ range $i, $_ := .Messages }}{{ if eq .Role \"system\" }}<start_of_turn>user\n{{ .Content }}\n\n{{ else if eq .Role \"user\" }}"
            + "{{ if or (ne $i 1) (ne (index $.Messages 0).Role \"system\") }}<start_of_turn>user\n{{ end }}{{ .Content }}<end_of_turn>\n<start_of_turn>model\n"
            + "{{ else if eq .Role \"assistant\" }}{{ .Content }}<end_of_turn>\n{{ end }}{{ end }}",
            OllamaTemplate.Of(new ModelChatTemplate(ChatTemplate.Parse(source), "<bos>", "<eos>"), "<bos>")?.ToString());
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

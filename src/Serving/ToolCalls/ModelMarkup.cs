using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.ToolCalls;

/// <summary>What a model's chat template tells of the marks in its answers.</summary>
internal sealed class ModelMarkup
{
    public ModelMarkup(GgufFile model, LlamaVocabulary vocabulary)
    {
        var template = model.Metadata.TryString("tokenizer.chat_template") ?? "";
        Tools = ToolFormat.Of(template);
        Thinks = template.Contains(ThoughtText.Start, StringComparison.Ordinal);
        VisibleControls = ToolFormat.Marks.Select(mark => vocabulary.Tokenize(mark)).Where(ids => ids is [var id] && vocabulary.IsControl(id) && !vocabulary.IsEndOfGeneration(id)).Select(ids => ids[0]).ToHashSet();
    }

    /// <summary>How it writes calls; null: its template knows no tools, and they are told in a message.</summary>
    public ToolFormat? Tools { get; }

    /// <summary>It may reason before it answers.</summary>
    public bool Thinks { get; }

    /// <summary>Control tokens that are marks, so that their text is needed.</summary>
    public IReadOnlySet<int> VisibleControls { get; }
}

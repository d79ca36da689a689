using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Llama;
using TokenMill.Training.Models;

namespace TokenMill.Training.Data;

/// <summary>How a model reads: its vocabulary, loaded when it is first needed, and its chat template.</summary>
internal sealed class ModelText : IDisposable
{
    private readonly Lazy<LlamaVocabulary> _vocabulary;

    public ModelText(ModelSource source)
    {
        _vocabulary = new(source.Vocabulary);
        if (source.Template() is { } template) Conversations = ConversationEncoder.For(template, _vocabulary.Value);
    }

    public LlamaVocabulary Vocabulary => _vocabulary.Value;

    /// <summary>Null for a model without a chat template.</summary>
    public ConversationEncoder? Conversations { get; }

    /// <summary>A text for pre-training: BOS where the model expects it, and the end of text after it.</summary>
    public int[] Whole(string text)
    {
        var ids = Vocabulary.Tokenize(text, addSpecial: true, parseSpecial: false);
        return Vocabulary.Eos >= 0 && (ids.Length == 0 || ids[^1] != Vocabulary.Eos) ? [.. ids, Vocabulary.Eos] : ids;
    }

    public void Dispose()
    {
        if (_vocabulary.IsValueCreated) _vocabulary.Value.Dispose();
    }
}

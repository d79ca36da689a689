using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Llama;

/// <summary>A smaller model beside the one that answers, to guess what it will answer. The engine owns the executor, this one the weights.</summary>
internal sealed class DraftLlama : IDisposable
{
    /// <summary>Families pad their vocabularies differently by size; what is beyond the common part is never guessed.</summary>
    private const int MostPadding = 128;

    private readonly LlamaModel _model;

    private DraftLlama(LlamaModel model, LlamaExecutor executor) => (_model, Executor) = (model, executor);

    public LlamaExecutor Executor { get; }

    /// <exception cref="RefusedException">draft-vocabulary, draft-unsupported; the file is broken, hostile or does not fit.</exception>
    public static DraftLlama Load(string path, LlamaModel answering, LlamaExecutor executor, LlamaExecutorOptions options)
    {
        var model = LlamaModel.Load(path);
        LlamaExecutor? own = null;
        try
        {
            if (model.Embeds || model.IsRecurrent || answering.IsRecurrent)
                throw new RefusedException("draft-unsupported", $"{System.IO.Path.GetFileName(path)} cannot guess for {answering.Name}: guesses are cut off again, which both models must be able to", "choose a small model of the same family, or leave out --draft");
            RequireSameVocabulary(model, answering);
            own = new LlamaExecutor(model, options with { ContextTokens = executor.CapacityTokens, MaxAdapters = 1 });
            own.WarmUp();
            return new DraftLlama(model, own);
        }
        catch
        {
            own?.Dispose();
            model.Dispose();
            throw;
        }
    }

    public void Dispose() => _model.Dispose();

    private static void RequireSameVocabulary(LlamaModel draft, LlamaModel answering)
    {
        var (mine, theirs) = (draft.Vocabulary, answering.Vocabulary);
        if (Math.Abs(mine.Count - theirs.Count) > MostPadding) throw Differs($"it has {mine.Count:N0} tokens, {answering.Name} {theirs.Count:N0}");
        for (var token = 0; token < Math.Min(mine.Count, theirs.Count); token++)
            if (!mine.Piece(token).AsSpan().SequenceEqual(theirs.Piece(token))) throw Differs($"token {token} is '{mine.Decode([token])}' in it and '{theirs.Decode([token])}' in {answering.Name}");

        RefusedException Differs(string how) => new("draft-vocabulary", $"{draft.Name} has another vocabulary: {how}", "choose a small model of the same family, or leave out --draft");
    }
}

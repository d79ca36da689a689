using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Scheduler;

/// <summary>
/// What computes: holds keys and values of sequences and turns tokens into logits. Owned by one thread, the engine's.
/// Implemented by the llama.cpp runner, and by a fake in the scheduler's tests.
/// </summary>
public interface IModelExecutor : IDisposable
{
    int VocabularySize { get; }

    /// <summary>How many tokens' keys and values fit at once, shared ones counted once.</summary>
    int CapacityTokens { get; }

    /// <summary>How long one sequence may become.</summary>
    int MaxSequenceTokens { get; }

    /// <summary>How many sequences may be held at once.</summary>
    int MaxSequences { get; }

    /// <summary>How many tokens one step may have.</summary>
    int MaxStepTokens { get; }

    /// <summary>How many rows of logits one step may have; at least one for each running request.</summary>
    int MaxStepRows { get; }

    /// <summary>False where sequences can be neither forked nor truncated (recurrent models).</summary>
    bool SharesPrefixes { get; }

    /// <summary>How many adapters may be loaded at once; at least one.</summary>
    int MaxAdapters { get; }

    /// <summary>Makes an adapter ready for steps. There is room for it: what has to go was unloaded before.</summary>
    /// <returns>Why it cannot be loaded, or null.</returns>
    Error? LoadAdapter(string adapter);

    /// <summary>No step has this adapter until it is loaded again.</summary>
    void UnloadAdapter(string adapter);

    /// <summary>What a runner must have alike to restore what this one saves: its kind and version, how it lays numbers out. Null: sequences cannot be moved.</summary>
    string? StateFormat { get; }

    /// <summary>Keys and values of a whole sequence, if they take no more bytes than that.</summary>
    /// <exception cref="RefusedException">state-too-large, state-not-saved. The sequence stays as it is.</exception>
    byte[] Save(SequenceId sequence, int mostBytes);

    /// <summary>Fills an empty sequence with the saved keys and values of so many tokens, for which there is room.</summary>
    /// <returns>False: the bytes are not what they should be, or the runner found no room; the sequence is empty as before.</returns>
    bool Restore(SequenceId sequence, int tokens, ReadOnlySpan<byte> state);

    StepOutcome Execute(StepPlan plan);

    /// <summary>Logits of a row of the last step, <see cref="VocabularySize"/> numbers; valid until the next one.</summary>
    ReadOnlySpan<float> Logits(int row);
}

public enum StepOutcome
{
    Computed,

    /// <summary>The runner found no room: the cache operations were made, no token was computed, nothing is lost.</summary>
    CacheFull,
}

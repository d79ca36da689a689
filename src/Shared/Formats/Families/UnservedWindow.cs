using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Shared.Formats.Families;

/// <summary>A sliding window that a model was trained with and llama.cpp leaves out: within so many tokens both are the same, beyond they differ.</summary>
public sealed record UnservedWindow(int Tokens)
{
    /// <summary>Null where the server has the same window, or the context is no longer than it.</summary>
    public static UnservedWindow? Of(GgufMetadata metadata) =>
        ModelFamily.Of(metadata) is { ServesWindow: false } family && family.Traits(metadata).Window is > 0 and var window && window < metadata.UInt32(family.Key("context_length")) ? new(window) : null;

    public ModelFinding Warning => new("sliding_window", "window-not-served", $"the model sees {Tokens} tokens back and is trained so; llama.cpp has no window for it: conversations of up to {Tokens} tokens are served as trained, longer ones differ");
}

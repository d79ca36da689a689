namespace TokenMill.Shared.Formats.Families;

/// <summary>How a model's layers compute beyond the plain decoder, whose values these defaults are.</summary>
public sealed record DecoderTraits
{
    /// <summary>Embeddings are multiplied by this; null: by √hidden.</summary>
    public float? EmbeddingScale { get; init; } = 1;

    /// <summary>What a layer adds to the residual stream is multiplied by this.</summary>
    public float ResidualScale { get; init; } = 1;

    /// <summary>Logits are multiplied by this.</summary>
    public float LogitScale { get; init; } = 1;

    /// <summary>Products of queries and keys are multiplied by this; null: by 1/√head length.</summary>
    public float? AttentionScale { get; init; }

    /// <summary>Scores and logits become c·tanh(x/c); 0: as they are.</summary>
    public float AttentionSoftcap { get; init; }
    public float LogitSoftcap { get; init; }

    /// <summary>In layers with a window a token sees so many keys, its own included; 0: no layer has one.</summary>
    public int Window { get; init; }

    /// <summary>Every n-th layer is without the window: 1 means none has it, 0 that all do.</summary>
    public int WindowPattern { get; init; }

    /// <summary>RoPE's base in layers with a window, whose positions are not scaled either; null: as in the others.</summary>
    public float? WindowRopeBase { get; init; }

    /// <summary>Every n-th layer does without rotary embedding; 0: none does.</summary>
    public int UnrotatedLayerInterval { get; init; }

    public bool IsWindowed(int layer) => Window > 0 && (WindowPattern == 0 || (layer + 1) % WindowPattern != 0);

    public bool Rotates(int layer) => UnrotatedLayerInterval == 0 || (layer + 1) % UnrotatedLayerInterval != 0;
}

using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.Deployments;

/// <summary>What a person may choose for a deployment; null leaves the engine's default.</summary>
public sealed record DeploymentOptions
{
    public const int MinContextTokens = 256, MaxContextTokens = 1 << 20, MaxParallel = 256;

    public int Version { get; init; } = 1;

    /// <summary>Tokens all running requests share.</summary>
    public int? ContextTokens { get; init; }

    /// <summary>Answers at a time; further ones wait.</summary>
    public int? Parallel { get; init; }

    /// <summary>The type of weights is chosen by measurement on this machine, instead of taken as the file has it.</summary>
    public bool MeasuresWeights { get; init; }

    /// <summary>Where another type is better, the variant of that type is made and served. Otherwise it is offered.</summary>
    public bool MakesVariant { get; init; }

    public Error? Check() => this switch
    {
        { ContextTokens: < MinContextTokens or > MaxContextTokens } => new Error("context-out-of-range", $"A context of {ContextTokens} tokens is not possible", $"choose {MinContextTokens} to {MaxContextTokens}, or leave it empty"),
        { Parallel: < 1 or > MaxParallel } => new Error("parallel-out-of-range", $"{Parallel} answers at a time are not possible", $"choose 1 to {MaxParallel}, or leave it empty"),
        _ => null,
    };

    public static DeploymentOptions Parse(string json) => Json.Deserialize<DeploymentOptions>(json);
}

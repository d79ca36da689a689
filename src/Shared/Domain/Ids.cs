using System.ComponentModel;
using System.Globalization;

namespace TokenMill.Shared.Domain;

/// <summary>An id of one kind of thing. Version 7, so that ids sort by the time they were made; never guessable from another.</summary>
public interface IEntityId<TSelf> where TSelf : struct, IEntityId<TSelf>
{
    Guid Value { get; }
    static abstract TSelf From(Guid value);
}

/// <summary>Who did it: the key of <see cref="User"/>.</summary>
[TypeConverter(typeof(TextConverter))]
public readonly record struct UserId(Guid Value) : IEntityId<UserId>
{
    public static UserId New() => new(Guid.CreateVersion7());
    public static UserId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();

    /// <summary>ASP.NET Core Identity reads its keys from text this way.</summary>
    private sealed class TextConverter : TypeConverter
    {
        public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) => sourceType == typeof(string);
        public override object? ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value) => Guid.TryParse((string)value, out var id) ? new UserId(id) : default;
    }
}

public readonly record struct WorkspaceId(Guid Value) : IEntityId<WorkspaceId>
{
    public static WorkspaceId New() => new(Guid.CreateVersion7());
    public static WorkspaceId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct DatasetId(Guid Value) : IEntityId<DatasetId>
{
    public static DatasetId New() => new(Guid.CreateVersion7());
    public static DatasetId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct DatasetVersionId(Guid Value) : IEntityId<DatasetVersionId>
{
    public static DatasetVersionId New() => new(Guid.CreateVersion7());
    public static DatasetVersionId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct ModelId(Guid Value) : IEntityId<ModelId>
{
    public static ModelId New() => new(Guid.CreateVersion7());
    public static ModelId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct ModelVersionId(Guid Value) : IEntityId<ModelVersionId>
{
    public static ModelVersionId New() => new(Guid.CreateVersion7());
    public static ModelVersionId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct FineTuneRunId(Guid Value) : IEntityId<FineTuneRunId>
{
    public static FineTuneRunId New() => new(Guid.CreateVersion7());
    public static FineTuneRunId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct EvaluationRunId(Guid Value) : IEntityId<EvaluationRunId>
{
    public static EvaluationRunId New() => new(Guid.CreateVersion7());
    public static EvaluationRunId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct DeploymentId(Guid Value) : IEntityId<DeploymentId>
{
    public static DeploymentId New() => new(Guid.CreateVersion7());
    public static DeploymentId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct ConversationId(Guid Value) : IEntityId<ConversationId>
{
    public static ConversationId New() => new(Guid.CreateVersion7());
    public static ConversationId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct GenerationId(Guid Value) : IEntityId<GenerationId>
{
    public static GenerationId New() => new(Guid.CreateVersion7());
    public static GenerationId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct ApiKeyId(Guid Value) : IEntityId<ApiKeyId>
{
    public static ApiKeyId New() => new(Guid.CreateVersion7());
    public static ApiKeyId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

public readonly record struct JobId(Guid Value) : IEntityId<JobId>
{
    public static JobId New() => new(Guid.CreateVersion7());
    public static JobId From(Guid value) => new(value);
    public override string ToString() => Value.ToString();
}

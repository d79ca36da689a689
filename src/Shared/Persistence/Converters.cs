using Microsoft.EntityFrameworkCore.Storage.ValueConversion;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence;

/// <summary>Ids as lower-case text: readable in the database and in order of making.</summary>
public sealed class EntityIdConverter<TId>() : ValueConverter<TId, string>(id => id.Value.ToString(), text => Parse(text))
    where TId : struct, IEntityId<TId>
{
    private static TId Parse(string text) => TId.From(Guid.Parse(text));
}

/// <summary>SQLite cannot compare DateTimeOffset: time is kept as UTC ticks.</summary>
public sealed class UtcTicksConverter() : ValueConverter<DateTimeOffset, long>(time => time.UtcTicks, ticks => new DateTimeOffset(ticks, TimeSpan.Zero));

/// <summary>The reason of a failure in one JSON column.</summary>
public sealed class ErrorConverter() : ValueConverter<Error, string>(error => Json.Serialize(error), json => Json.Deserialize<Error>(json));

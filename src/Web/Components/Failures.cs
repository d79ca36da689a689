using Microsoft.Data.Sqlite;
using SQLitePCL;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Components;

/// <summary>What an exception that reached a page means to a person.</summary>
public static class Failures
{
    private const int NoSpaceLeft = 28;                      // ENOSPC, in the low half of an IOException's HResult

    /// <summary>Null: a bug, to be logged.</summary>
    public static Error? Explain(Exception exception) => exception switch
    {
        RefusedException refused => refused.Error,
        SqliteException { SqliteErrorCode: raw.SQLITE_FULL } => DiskFull,
        IOException io when (io.HResult & 0xFFFF) == NoSpaceLeft => DiskFull,
        { InnerException: { } inner } => Explain(inner),
        _ => null,
    };

    private static Error DiskFull { get; } = new("disk-full", "The disk of the platform is full, so nothing was saved", "ask an administrator to free space; then try again");
}

using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace TokenMill.Shared.Persistence.Sqlite;

/// <summary>ExecuteUpdate and ExecuteDelete pass by SaveChanges and so by the write gate: they are for WriteAsync, which holds it.</summary>
internal sealed class WriteOutsideTransactionGuard : DbCommandInterceptor
{
    public override InterceptionResult<int> NonQueryExecuting(DbCommand command, CommandEventData eventData, InterceptionResult<int> result) => Check(eventData, result);

    public override ValueTask<InterceptionResult<int>> NonQueryExecutingAsync(DbCommand command, CommandEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Check(eventData, result));

    private static InterceptionResult<int> Check(CommandEventData eventData, InterceptionResult<int> result) =>
        eventData.CommandSource is CommandSource.ExecuteUpdate or CommandSource.ExecuteDelete or CommandSource.ExecuteSqlRaw && eventData.Context?.Database.CurrentTransaction is null
            ? throw new InvalidOperationException("A bulk write belongs inside PlatformDatabase.WriteAsync")
            : result;
}

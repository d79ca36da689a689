using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Persistence;

namespace TokenMill.Web.Accounts;

/// <summary>
/// Lets in the first administrator, once. While nobody belongs to a workspace, each start makes a new token and prints it in a link; here only
/// its hash is kept. It ends with the first account.
/// </summary>
public sealed class SetupToken(PlatformDatabase database) : IDisposable
{
    private readonly SemaphoreSlim _one = new(1, 1);
    private string? _printed;
    private byte[]? _hash;

    public async Task PrepareAsync(CancellationToken cancellationToken)
    {
        await using var db = database.Open(WorkspaceScope.All);
        if (await db.Memberships.AnyAsync(cancellationToken)) return;
        _printed = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24));
        _hash = Hash(_printed);
    }

    /// <summary>The link to print, handed out once.</summary>
    public string? Link(string address) => Interlocked.Exchange(ref _printed, null) is { } token ? $"{address.TrimEnd('/')}/setup?token={token}" : null;

    public bool Matches(string? token) => _hash is { } hash && token is not null && CryptographicOperations.FixedTimeEquals(hash, Hash(token));

    /// <summary>Does the set-up if the token is right; it stays good when the set-up is refused (a weak password) and ends when it succeeds.</summary>
    public async Task<bool> UseAsync(string? token, Func<Task<bool>> setUp, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            if (!Matches(token)) return false;
            if (await setUp()) _hash = null;
            return true;
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose() => _one.Dispose();

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}

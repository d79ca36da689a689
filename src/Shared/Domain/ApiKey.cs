using System.Security.Cryptography;
using System.Text;

namespace TokenMill.Shared.Domain;

/// <summary>A key of the public API, bound to a workspace. Only its SHA-256 is kept: 192 random bits need no slower hash.</summary>
public sealed class ApiKey(ApiKeyId id, WorkspaceId workspaceId, string name, string prefix, string hash, UserId createdBy, DateTimeOffset createdAt) : IWorkspaceOwned
{
    public ApiKeyId Id { get; private set; } = id;
    public WorkspaceId WorkspaceId { get; private set; } = workspaceId;
    public string Name { get; private set; } = name;

    /// <summary>The first characters of the secret, by which people tell keys apart.</summary>
    public string Prefix { get; private set; } = prefix;

    /// <summary>See <see cref="HashOf"/>; indexed.</summary>
    public string Hash { get; private set; } = hash;
    public UserId CreatedBy { get; private set; } = createdBy;
    public DateTimeOffset CreatedAt { get; private set; } = createdAt;
    public DateTimeOffset? LastUsedAt { get; private set; }
    public DateTimeOffset? RevokedAt { get; private set; }

    /// <summary>A new key and its secret, which is shown once and kept nowhere.</summary>
    public static (ApiKey Key, string Secret) Create(WorkspaceId workspaceId, string name, UserId createdBy, DateTimeOffset at)
    {
        var secret = "sk-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24));
        return (new ApiKey(ApiKeyId.New(), workspaceId, name.Trim(), secret[..8], HashOf(secret), createdBy, at), secret);
    }

    public static string HashOf(string secret) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));

    public void Use(DateTimeOffset at) => LastUsedAt = at;

    public void Revoke(DateTimeOffset at) => RevokedAt ??= at;
}

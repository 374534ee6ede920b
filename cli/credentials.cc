// SPDX-License-Identifier: Apache-2.0
#include "cli/credentials.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "cli/error.h"
#include "cli/spawn.h"
#include "cli/terminal.h"
#include "core/base/random.h"
#include "core/base/unique_fd.h"

namespace cairn {
namespace {

constexpr size_t kMaxPasswordBytes = 4096;

// All of it, up to the end; `what` is for messages.
StatusOr<SecretBytes> ReadSecret(int descriptor, size_t max_bytes, const std::string& what) {
  SecretBytes buffer(max_bytes + 1);
  size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = RetryOnEintr(
        [&] { return ::read(descriptor, buffer.span().data() + size, buffer.size() - size); });
    if (got < 0) return ErrnoError(errno, "reading", what);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > max_bytes) {
    return UsageError(absl::StrFormat("%s: longer than %d bytes", what, max_bytes));
  }
  return SecretBytes::CopyOf(buffer.span().first(size));
}

// Without the end of its line. A password is one line of text, and never empty: an empty file is a
// slip, and a repository that opens by nothing is not encrypted.
StatusOr<Credential> PasswordOf(ByteSpan bytes, const std::string& what) {
  if (!bytes.empty() && bytes.back() == '\n') bytes = bytes.first(bytes.size() - 1);
  if (!bytes.empty() && bytes.back() == '\r') bytes = bytes.first(bytes.size() - 1);
  if (bytes.empty()) return UsageError(what + " gives an empty password");
  if (std::ranges::find(bytes, uint8_t{'\n'}) != bytes.end()) {
    return UsageError(what + " gives more than one line; a password is one");
  }
  return Credential{KeyKind::kPassword, SecretBytes::CopyOf(bytes)};
}

StatusOr<UniqueFd> OpenFile(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // A password that cannot be read is one that was not given.
  if (!file.valid()) return Unauthenticated(Message(ErrnoError(errno, "opening", path)));
  return file;
}

StatusOr<Credential> PasswordFromFile(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path));
  ASSIGN_OR_RETURN(const SecretBytes bytes, ReadSecret(file.get(), kMaxPasswordBytes + 2, path));
  return PasswordOf(bytes.span(), path);
}

StatusOr<Credential> PasswordFromCommand(const std::string& command) {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoError(errno, "making", "a pipe");
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  // With an empty input, so that it takes nothing of a stream that is snapshotted.
  ASSIGN_OR_RETURN(const pid_t child,
                   Spawn({"/bin/sh", "-c", command}, ChildInput::kEmpty, writer.get()));
  writer.Reset();
  const StatusOr<SecretBytes> bytes =
      ReadSecret(reader.get(), kMaxPasswordBytes + 2, "--password-command");
  reader.Reset();
  int result = 0;
  RetryOnEintr([&] { return ::waitpid(child, &result, 0); });
  RETURN_IF_ERROR(bytes.status());
  if (!WIFEXITED(result) || WEXITSTATUS(result) != 0) {
    return Unauthenticated(
        absl::StrFormat("the command of --password-command failed: %s", command));
  }
  return PasswordOf(bytes->span(), "--password-command");
}

StatusOr<Credential> CredentialFromKeyFile(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path));
  ASSIGN_OR_RETURN(SecretBytes bytes, ReadSecret(file.get(), kKeyFileBytes, path));
  if (bytes.size() != kKeyFileBytes) {
    return UsageError(absl::StrFormat(
        "%s: a key file has %d bytes, and this one has %d; is it a password? Then name it with "
        "--password-file",
        path, kKeyFileBytes, bytes.size()));
  }
  return Credential{KeyKind::kKeyFile, std::move(bytes)};
}

// The terminal, with its echo off as long as this lives.
class Prompt {
 public:
  static StatusOr<std::unique_ptr<Prompt>> Open(const StopFlag& stop) {
    UniqueFd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    termios settings;
    if (!terminal.valid() || ::tcgetattr(terminal.get(), &settings) != 0) {
      return Unauthenticated(
          "the repository is encrypted, and there is no terminal to ask for its password on\nGive "
          "it with --password-file, --password-command or CAIRN_PASSWORD, or a key with "
          "--key-file.");
    }
    return std::unique_ptr<Prompt>(new Prompt(std::move(terminal), settings, stop));
  }
  ~Prompt() { ::tcsetattr(terminal_.get(), TCSAFLUSH, &before_); }

  StatusOr<Credential> Ask(const std::string& question) {
    Say(question);
    SecretBytes line(kMaxPasswordBytes + 2);
    size_t size = 0;
    while (size < line.size()) {
      RETURN_IF_ERROR(WaitForInput(terminal_.get(), stop_));
      const ssize_t got = RetryOnEintr(
          [&] { return ::read(terminal_.get(), line.span().data() + size, line.size() - size); });
      if (got < 0) return ErrnoError(errno, "reading", "the terminal");
      size += static_cast<size_t>(got);
      if (got == 0 || line.span()[size - 1] == '\n') break;
    }
    Say("\n");
    return PasswordOf(line.span().first(size), "the terminal");
  }

 private:
  Prompt(UniqueFd terminal, const termios& settings, const StopFlag& stop)
      : terminal_(std::move(terminal)), before_(settings), stop_(stop) {
    termios silent = settings;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(terminal_.get(), TCSAFLUSH, &silent);
  }
  void Say(const std::string& text) { (void)!::write(terminal_.get(), text.data(), text.size()); }

  const UniqueFd terminal_;
  const termios before_;
  const StopFlag& stop_;
};

StatusOr<Credential> ReadNamed(const CredentialSource& source) {
  ForbidCoreDumps();
  if (source.password_file) return PasswordFromFile(*source.password_file);
  if (source.password_command) return PasswordFromCommand(*source.password_command);
  return CredentialFromKeyFile(*source.key_file);
}

StatusOr<Credential> FromEnvironment() {
  ForbidCoreDumps();
  return PasswordOf(AsBytes(std::getenv(kPasswordVariable)), kPasswordVariable);
}

}  // namespace

Status CheckSource(const CredentialSource& source, const char* prefix) {
  const int named = (source.password_file ? 1 : 0) + (source.password_command ? 1 : 0) +
                    (source.key_file ? 1 : 0);
  if (named <= 1) return OkStatus();
  return UsageError(
      absl::StrFormat("%spassword-file, %spassword-command and %skey-file: name one of them",
                      prefix, prefix, prefix));
}

StatusOr<bool> IsCredentialGiven(const CredentialSource& source) {
  const char* const value = std::getenv(kPasswordVariable);
  if (value != nullptr && *value == '\0') {
    return UsageError(
        absl::StrFormat("%s is set, but empty; give it a value or unset it", kPasswordVariable));
  }
  return source.named() || value != nullptr;
}

StatusOr<Credential> ReadCredential(const CredentialSource& source, const StopFlag& stop) {
  if (source.named()) return ReadNamed(source);
  if (std::getenv(kPasswordVariable) != nullptr) return FromEnvironment();
  ForbidCoreDumps();
  ASSIGN_OR_RETURN(const auto prompt, Prompt::Open(stop));
  return prompt->Ask("password of the repository: ");
}

StatusOr<Credential> ReadNewCredential(const CredentialSource& source, bool from_environment,
                                       const StopFlag& stop) {
  if (source.named()) return ReadNamed(source);
  if (from_environment && std::getenv(kPasswordVariable) != nullptr) return FromEnvironment();
  ForbidCoreDumps();
  StatusOr<std::unique_ptr<Prompt>> prompt = Prompt::Open(stop);
  if (!prompt.ok()) {
    return UsageError(absl::StrFormat(
        "there is no terminal to ask for the new password on\nGive it with %s, or make a key file "
        "with --new-key-file.",
        from_environment ? "--password-file, --password-command or CAIRN_PASSWORD"
                         : "--new-password-file"));
  }
  ASSIGN_OR_RETURN(Credential first, (*prompt)->Ask("new password: "));
  ASSIGN_OR_RETURN(const Credential second, (*prompt)->Ask("the same once more: "));
  if (!EqualSecretly(first.secret.span(), second.secret.span())) {
    return UsageError("the two passwords differ, and nothing was done");
  }
  return first;
}

StatusOr<Credential> WriteKeyFile(const std::string& path) {
  ForbidCoreDumps();
  Credential credential{KeyKind::kKeyFile, SecretBytes(kKeyFileBytes)};
  FillRandom(credential.secret.span());
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) {
    const Status failed = ErrnoError(errno, "making the key file", path);
    return failed.code() == StatusCode::kAlreadyExists ? WithExitCode(failed, ExitCode::kUsage)
                                                       : failed;
  }
  // What a full disk leaves would be taken for a key file.
  absl::Cleanup remove = [&] { ::unlink(path.c_str()); };
  const ByteSpan bytes = credential.secret.span();
  if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
      ::fsync(file.get()) != 0) {
    return ErrnoError(errno, "writing the key file", path);
  }
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const UniqueFd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || ::fsync(directory.get()) != 0) {
    return ErrnoError(errno, "making the name durable of", path);
  }
  std::move(remove).Cancel();
  return credential;
}

StatusOr<PasswordCost> ParsePasswordCost(const std::optional<std::string>& word) {
  if (!word || *word == "default") return PasswordCost{};
  if (*word == "low") return kLeastPasswordCost;
  if (*word == "high") return PasswordCost{.passes = 4, .memory_kib = 1024 * 1024};
  return UsageError(
      absl::StrFormat("--key-cost takes low, default or high, and not \"%s\"", *word));
}

}  // namespace cairn

"""A ledger whose alerts go to a real mail server and a real webhook, when they open and when they end."""

from __future__ import annotations

from pathlib import Path

from cryowidgets.monitors.notify import Notifier
from cryowidgets.store import alerts
from tests.monitors.ledger import Ledger
from tests.monitors.receivers import Mail, Webhook


class Told(Ledger):
    def __init__(self, folder: Path, mail: Mail, webhook: Webhook) -> None:
        super().__init__(folder)
        mail.messages.clear(), webhook.posts.clear()
        self._mail, self._webhook = mail, webhook
        file = folder.parent / "alerts.toml"
        channel = '[{name}]\nurl = "{url}"\nalways = true\nleast = "note"\n'
        file.write_text(channel.format(name="staff", url=mail.url) + channel.format(name="chat", url=webhook.url))
        file.chmod(0o600)
        self._notifier = Notifier(file)

    def look(self, wait: float = 0.0) -> list[str]:
        said = super().look(wait)
        if said:
            sent = self._notifier.look(self.reader, self.now)
            for state in self._notifier._states.values():
                assert state.post is None or state.post.wait(20)
            heard = self._notifier.look(self.reader, self.now)
            alerts.write(self.store, sent + heard, self.now)
        return said

    def close(self) -> None:
        """All that was ever wrong has reached both, and so has its end."""
        letters = "\n".join(message.get_body().get_content() for message in self._mail.messages)
        posts = "\n".join(post["message"] for post in self._webhook.posts)
        for alert in alerts.select(self.store.query, "", ()):
            for name, texts in (("mail", letters), ("webhook", posts)):
                text = " ".join(texts.split())
                said = f"{alert.level.upper()} ({alert.monitor})"
                assert said in text or f"OVER ({alert.monitor})" in text, (name, alert)
                assert " ".join(alert.text.split()) in text, (name, alert)
                assert alert.open or f"OVER ({alert.monitor})" in text, (name, alert)
        super().close()

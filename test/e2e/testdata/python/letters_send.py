"""smtplib sends letters in three languages."""
from house import house, password
from ways import mails, smtp

s = smtp()
s.login(house["user"], password)
for mail in mails:
    assert not s.sendmail(house["user"], [house["rcpt"]], mail["content"], mail_options=["BODY=8BITMIME"]), mail["name"]
s.quit()

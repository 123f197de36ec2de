"""smtplib sends to an address that needs SMTPUTF8."""
from house import house, password
from ways import smtp

s = smtp()
s.login(house["user"], password)
content = house["more"]["content"].encode()
refused = s.sendmail(house["user"], [house["more"]["to"]], content, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
assert not refused, refused
s.quit()

package junk

import "strings"

// language is what generated mail of one language is made of.
type language struct {
	name     string
	space    string // between words
	common   []string
	ham      []topic
	spam     []topic
	rare     []string // syllables, of which names and rare words are put together
	charsets []string
}

type topic struct {
	subjects []string
	words    []string
}

func about(words string, subjects ...string) topic { return topic{subjects, strings.Fields(words)} }

func languages() []language {
	return []language{english(), german(), japanese(), chinese()}
}

func english() language {
	return language{
		name: "en", space: " ", charsets: []string{"utf-8", "iso-8859-1"},
		rare:   strings.Fields("ba ber cor dan del en fer gal hol in jas ka lan mer nor ol per quin ros san tor ul ver wes yor zen ton ley ham ford ing er ist"),
		common: strings.Fields("the of and to in is you that it he was for on are as with his they I at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part please thank best regards hello dear"),
		ham: []topic{
			about("meeting agenda minutes project schedule deadline review draft budget quarter team client slides attached notes decision milestone release branch patch staging backlog roadmap sprint estimate", "Agenda for Thursday", "Re: draft of the report", "Minutes of the meeting", "Project schedule"),
			about("kids school weekend dinner grandma birthday garden train holiday photos cake football rehearsal piano bike swimming picnic neighbours dog vet sunday aunt cousin recipe", "Sunday dinner", "Photos from the weekend", "Re: birthday", "train times"),
			about("invoice payment order delivery tracking receipt account statement bank transfer amount due customer number total shipping address thank purchase subscription renewal", "Your invoice", "Order confirmation", "Your statement is ready", "Delivery on Tuesday"),
			about("newsletter release version kernel compiler community conference talk issue article subscribe unsubscribe offer discount free week editor column podcast interview research paper", "Weekly newsletter", "Issue 42", "This week in releases", "Early bird discount"),
			about("bug stack trace commit merge test failure pipeline server database query index latency deploy rollback incident log config module function variable pointer", "[repo] build failed", "Re: [list] patch review", "Incident report", "latency of the query"),
		},
		spam: []topic{
			about("pills pharmacy viagra cheap discount doctor prescription order online shipping discreet generic cialis weight loss natural guaranteed satisfaction enlarge erection supplement fat burn", "Cheap meds online", "Lose weight fast!!!", "V1agra 80% off", "Your discreet order"),
			about("million dollars inheritance bank transfer beneficiary deceased barrister confidential foreign fund transaction percent god bless widow urgent reply account kin attorney consignment", "URGENT BUSINESS PROPOSAL", "Confidential inheritance", "From Mrs Grace", "ATTENTION BENEFICIARY"),
			about("bitcoin crypto investment profit trading wallet guaranteed returns daily platform earn passive income signals broker deposit bonus million rich secret system limited", "Earn $5000 a day", "Bitcoin secret revealed", "Passive income now", "Last chance to invest"),
			about("account suspended verify password click login security unusual activity confirm identity limited immediately update billing information expire mailbox quota storage link below", "Your account is suspended", "Verify your mailbox now", "Unusual sign-in activity", "Action required: password expires"),
			about("seo ranking website google traffic backlinks first page marketing affordable services leads proposal increase visitors optimization quote guest post domain authority", "First page of Google", "Website design offer", "Increase your traffic", "Guest post proposal"),
			about("hot singles dating lonely girls meet tonight webcam naughty profile photos waiting chat sexy adult private message click free membership horny", "Singles near you", "She sent you a message", "Meet tonight", "Private photos"),
		},
	}
}

func german() language {
	return language{
		name: "de", space: " ", charsets: []string{"utf-8", "iso-8859-1"},
		rare:   strings.Fields("berg hof stein wald bach feld haus mann schmid mül ler brück kirch neu alt ober unter lang kurz grün weiß schwarz rot heim dorf stadt burg tal see moor"),
		common: strings.Fields("der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde wenn können Sie wir ich Ihnen Ihre bitte vielen Dank mit freundlichen Grüßen hallo liebe sehr geehrte"),
		ham: []topic{
			about("Besprechung Tagesordnung Protokoll Projekt Termin Frist Entwurf Haushalt Quartal Abteilung Kunde Folien Anhang Notizen Beschluss Meilenstein Angebot Vertrag Rückmeldung Lieferung", "Protokoll der Besprechung", "Re: Entwurf des Vertrags", "Termin am Donnerstag", "Projektplan"),
			about("Kinder Schule Wochenende Abendessen Oma Geburtstag Garten Bahn Urlaub Fotos Kuchen Fußball Probe Klavier Fahrrad Schwimmbad Nachbarn Hund Tierarzt Sonntag Tante Rezept", "Sonntag bei Oma", "Fotos vom Wochenende", "Re: Geburtstag", "Zugverbindung"),
			about("Rechnung Zahlung Bestellung Lieferung Sendungsnummer Beleg Konto Auszug Überweisung Betrag fällig Kundennummer Summe Versand Adresse Einkauf Abonnement Verlängerung Mahnung", "Ihre Rechnung", "Bestellbestätigung", "Ihr Kontoauszug", "Lieferung am Dienstag"),
			about("Rundbrief Ausgabe Verein Mitglieder Versammlung Satzung Vorstand Beitrag Spende Veranstaltung Anmeldung Vortrag Artikel abbestellen Rabatt kostenlos Woche Redaktion", "Rundbrief Nr. 12", "Einladung zur Mitgliederversammlung", "Ausgabe März", "Rabatt für Frühbucher"),
		},
		spam: []topic{
			about("Potenzmittel Apotheke rezeptfrei günstig Rabatt abnehmen Diät Pillen diskret Versand garantiert Wirkung natürlich Fettverbrenner sofort bestellen Angebot Kilo Wundermittel", "Abnehmen ohne Diät!!!", "Rezeptfrei bestellen", "80% Rabatt auf Pillen", "Das Wundermittel"),
			about("Kredit Schufa sofort Zusage Darlehen Geld Auszahlung Raten ohne Prüfung Zinsen günstig Bonität Sofortkredit Schulden Bargeld heute", "Kredit ohne Schufa", "Sofort Bargeld", "Ihr Darlehen ist bewilligt", "GELD IN 24 STUNDEN"),
			about("Konto gesperrt bestätigen Sparkasse Passwort klicken Anmeldung Sicherheit ungewöhnliche Aktivität Identität eingeschränkt umgehend aktualisieren Daten Link unten verifizieren photoTAN", "Ihr Konto wurde gesperrt", "Bestätigen Sie Ihre Daten", "Wichtige Sicherheitsmeldung", "TAN-Verfahren läuft ab"),
			about("Gewinn Lotterie Million Euro Gewinner Auszahlung Benachrichtigung Losnummer Glückwunsch Anwalt Erbschaft vertraulich Begünstigter Überweisung Provision", "Sie haben gewonnen", "GEWINNBENACHRICHTIGUNG", "Erbschaft", "Vertraulich"),
			about("Bitcoin Investition Gewinn Handel Plattform verdienen passiv Einkommen garantiert täglich Höhle Löwen Geheimnis reich Einzahlung Bonus Millionär", "5000 Euro am Tag", "Das Geheimnis der Reichen", "Passives Einkommen", "Jetzt investieren"),
		},
	}
}

func japanese() language {
	return language{
		name: "ja", space: "", charsets: []string{"utf-8", "iso-2022-jp"},
		rare:   strings.Fields("山 田 川 中 村 木 本 小 大 高 橋 佐 藤 鈴 伊 渡 辺 加 吉 井 上 松 林 清 水 森 池 石 前 岡 長 谷 近 坂 遠 青 福 三 西 原"),
		common: strings.Fields("です ます した する いる ある こと これ それ ため よう から まで ので けど お願いいたします よろしく ありがとうございます お世話になっております について として ください いたします について おります ところ ときに などを できる なった という また および 次の 今回 先日 以上"),
		ham: []topic{
			about("会議 議事録 日程 資料 添付 確認 予算 部署 担当 進捗 修正 見積書 契約 納期 打ち合わせ 来週 報告書 承認 仕様 設計 検討", "会議の日程について", "Re: 資料の確認", "議事録", "見積書の件"),
			about("週末 家族 写真 誕生日 夕食 学校 子供 旅行 電車 温泉 散歩 犬 庭 料理 日曜日 祖母 運動会 遠足 弁当 元気", "週末の予定", "写真を送ります", "Re: 誕生日", "電車の時間"),
			about("請求書 支払 注文 配送 領収書 口座 明細 振込 金額 合計 住所 購入 会員 更新 発送 商品 追跡番号 期日", "ご注文の確認", "請求書の送付", "発送のお知らせ", "ご利用明細"),
			about("開発 不具合 修正 試験 版 公開 障害 原因 対応 記録 設定 接続 性能 測定 結果 改善 手順 環境", "不具合の報告", "Re: 障害の原因", "新しい版の公開", "試験の結果"),
		},
		spam: []topic{
			about("副業 高収入 簡単 在宅 稼げる 月収 万円 無料 登録 今すぐ 限定 秘密 方法 成功 投資 仮想通貨 利益 保証 即金", "月収百万円の秘密", "在宅で稼げる", "無料登録で即金", "限定募集"),
			about("アカウント 停止 本人確認 更新 必要 クリック 不正 アクセス 検知 至急 手続き カード情報 入力 制限 解除 ログイン 異常 期限切れ", "【重要】アカウント停止", "本人確認のお願い", "カードのご利用制限", "不正アクセス検知"),
			about("出会い 女性 会いたい 寂しい 人妻 写真 秘密 返信 待って メッセージ 無料 ポイント 逆援助 セフレ 今夜 近所", "会いたいです", "メッセージが届いています", "今夜どう", "人妻からの返信"),
			about("当選 賞金 おめでとうございます 受取 億円 手数料 振込先 抽選 特別 権利 残り 時間 最終 通知 財団 支援金 給付", "当選のお知らせ", "支援金の給付", "最終通知", "億円の受取"),
		},
	}
}

func chinese() language {
	return language{
		name: "zh", space: "", charsets: []string{"utf-8", "gb18030"},
		rare:   strings.Fields("王 李 张 刘 陈 杨 黄 赵 吴 周 徐 孙 马 朱 胡 郭 何 林 高 罗 郑 梁 谢 宋 唐 许 邓 韩 冯 曹 彭 曾 肖 田 董 潘 袁 蔡 蒋"),
		common: strings.Fields("的 是 在 我们 你们 他们 这个 那个 可以 已经 因为 所以 但是 如果 没有 什么 时候 现在 问题 需要 进行 以及 关于 非常 感谢 您好 谢谢 请 一个 一下 今天 明天 大家 可能 还是 就是 或者 通过 对于 根据"),
		ham: []topic{
			about("会议 议程 纪要 项目 进度 附件 预算 部门 负责人 修改 合同 报价 交付 下周 报告 审批 设计 讨论 方案 评审", "会议安排", "Re: 项目进度", "会议纪要", "合同修改"),
			about("周末 家人 照片 生日 晚饭 学校 孩子 旅行 火车 公园 散步 小狗 花园 做饭 星期天 奶奶 钢琴 足球 邻居", "周末吃饭", "照片", "Re: 生日", "火车时间"),
			about("账单 付款 订单 配送 收据 账户 明细 转账 金额 合计 地址 购买 会员 续费 发货 商品 快递 单号", "订单确认", "您的账单", "发货通知", "账户明细"),
			about("开发 缺陷 修复 测试 版本 发布 故障 原因 处理 日志 配置 连接 性能 结果 改进 步骤 环境 服务器", "缺陷报告", "Re: 故障原因", "新版本发布", "测试结果"),
		},
		spam: []topic{
			about("发票 代开 增值税 优惠 点数 税率 真票 验证 电话 咨询 代理 财务 公司 各类 普通 低价 长期 合作 微信", "代开发票", "各类发票优惠", "财务合作", "低价真票"),
			about("赚钱 兼职 日入 高薪 免费 注册 立即 限时 秘密 投资 数字货币 收益 保证 理财 平台 翻倍 内部 稳赚 加群", "日入过万", "在家兼职", "稳赚不赔", "内部投资机会"),
			about("账号 冻结 验证 密码 点击 登录 异常 安全 立即 更新 身份 限制 链接 过期 邮箱 容量 升级 停用 系统管理员", "邮箱即将停用", "账号异常", "请立即验证密码", "系统升级通知"),
			about("中奖 奖金 恭喜 领取 万元 手续费 抽奖 幸运 用户 特等奖 公证 银行卡 最后 通知 活动 兑奖", "恭喜您中奖", "领取奖金", "幸运用户", "最后通知"),
		},
	}
}
